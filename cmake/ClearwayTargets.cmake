# Small functions that make every floor's CMakeLists.txt a list of files.
include_guard(GLOBAL)

# clearway_floor(<name> SOURCES ... PUBLIC <libraries> PRIVATE <libraries> HEADER_ONLY <libraries>)
# A library clearway_<name> with alias clearway::<name>; headers lie under include/clearway/<name>.
# PUBLIC: seen in our headers. PRIVATE: linked, so that users of a static build need it too (add it to
# clearwayConfig.cmake.in). HEADER_ONLY: used in our sources only; nobody who uses Clearway looks for it.
function(clearway_floor name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE;HEADER_ONLY" ${ARGN})
  add_library(clearway_${name} ${ARG_SOURCES})
  add_library(clearway::${name} ALIAS clearway_${name})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/clearway/${name}/*.hpp)
  target_sources(clearway_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/include FILES ${headers})
  target_compile_features(clearway_${name} PUBLIC cxx_std_20)
  target_compile_options(clearway_${name} PRIVATE ${CLEARWAY_WARNINGS})
  target_link_libraries(clearway_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  foreach(library IN LISTS ARG_HEADER_ONLY)
    target_link_libraries(clearway_${name} PRIVATE $<BUILD_INTERFACE:${library}>)
  endforeach()
  set_target_properties(clearway_${name} PROPERTIES
    EXPORT_NAME ${name}
    POSITION_INDEPENDENT_CODE ON
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endfunction()

# clearway_test(<name> [LABELS ...] [LINK ...] [TIMEOUT seconds] SOURCES ...)
# One GoogleTest program, every test registered with CTest.
# Labels: fast (the default: seconds, also run under address and undefined sanitizers), slow (minutes),
# threads (also run under the thread sanitizer; give it beside fast or slow).
#
# Programs see CLEARWAY_SOURCE, the folder of this project, and CLEARWAY_SHARED, a folder with data and oracles that do
# not belong to it: tests that need the latter skip where it is absent.
if(DEFINED ENV{CLEARWAY_SHARED})
  set(shared $ENV{CLEARWAY_SHARED})
else()
  set(shared ${PROJECT_SOURCE_DIR}/../shared)
endif()
cmake_path(NORMAL_PATH shared)
set(CLEARWAY_SHARED ${shared} CACHE PATH "Folder with data and oracles outside of the project")
add_custom_target(tests_threads COMMENT "Test programs labelled threads")
add_custom_target(tests_fast COMMENT "Test programs labelled fast")
function(clearway_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  # Tests spend their time in the libraries; compiling them with less optimisation saves minutes.
  target_compile_options(${name} PRIVATE ${CLEARWAY_WARNINGS} $<$<CONFIG:Release>:-O1>)
  target_compile_definitions(${name} PRIVATE
    CLEARWAY_SOURCE="${PROJECT_SOURCE_DIR}" CLEARWAY_SHARED="${CLEARWAY_SHARED}")
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(tests_threads ${name})
  endif()
  if("fast" IN_LIST ARG_LABELS)
    add_dependencies(tests_fast ${name})
  endif()
  # gtest_discover_tests cannot pass a list: several labels become one, "fast-threads", and ctest -L takes a pattern.
  list(JOIN ARG_LABELS "-" labels)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${labels}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# clearway_fuzzer(<name> SOURCES ... [LINK ...] [CORPUS folder] [SECONDS n])
# A function LLVMFuzzerTestOneInput. With CLEARWAY_FUZZ it becomes a libFuzzer program and a CTest test that starts from
# the corpus and looks for n seconds (default 20); without, a test that replays the corpus once, so that a file that
# crashed a reader one day is checked by every compiler for ever.
add_custom_target(fuzzers COMMENT "Fuzzers")
function(clearway_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS;SECONDS" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_CORPUS)
    set(ARG_CORPUS corpus/${name})
  endif()
  if(NOT ARG_SECONDS)
    set(ARG_SECONDS 20)
  endif()
  cmake_path(ABSOLUTE_PATH ARG_CORPUS BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${CLEARWAY_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  add_dependencies(fuzzers ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(CLEARWAY_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set(found ${PROJECT_BINARY_DIR}/fuzz/${name})
    file(MAKE_DIRECTORY ${found})
    # The first folder is where libFuzzer keeps what it finds; the corpus in the tree is only read.
    add_test(NAME fuzz.${name} COMMAND ${name} -max_total_time=${ARG_SECONDS} -max_len=4096 -timeout=10
                                       -rss_limit_mb=2048 -artifact_prefix=${found}/ ${found} ${ARG_CORPUS})
    math(EXPR limit "${ARG_SECONDS} + 120")
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT ${limit})
  else()
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    add_dependencies(tests_fast ${name})
    add_test(NAME replay.${name} COMMAND ${name} ${ARG_CORPUS})
    set_tests_properties(replay.${name} PROPERTIES LABELS fast TIMEOUT 120)
  endif()
endfunction()
