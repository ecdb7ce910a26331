# Install, find_package with components, pkg-config and Debian packages.
#
# Each floor is a component with its own export set, so that who asks for core never looks for what io needs.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/clearway)

# What each floor stands on, for pkg-config: modules of others, then plain libraries.
set(clearway_base_requires "fmt")
set(clearway_base_libs "-pthread")
set(clearway_base_description "errors, options, random streams, parallel loops, tables")
set(clearway_core_requires "clearway-base, eigen3")
set(clearway_core_cflags "-DEIGEN_MAX_ALIGN_BYTES=32")
set(clearway_core_description "gates, experts, mixture, routing and alignment")
set(clearway_stat_requires "clearway-core")
set(clearway_stat_description "estimation: spectral start, EM, selection, simulation")
set(clearway_io_requires "clearway-base, nlohmann_json")
set(clearway_io_libs "-lcsv")
set(clearway_io_description "csv, json and run folders")
set(clearway_fusion_requires "clearway-core, clearway-io")
set(clearway_fusion_description "multimodal samples: declared, read and prepared")
set(clearway_report_requires "clearway-io")
set(clearway_report_description "figures and tables as one page of HTML, or in a terminal")

set(clearway_deep_requires "clearway-core, clearway-fusion")
set(clearway_deep_libs "-lclearway_kernels -ltorch -ltorch_cpu -lc10")
list(JOIN TORCH_INCLUDE_DIRS " -I" torch_includes)
set(clearway_deep_cflags "-I${torch_includes}")
set(clearway_deep_description "layers on LibTorch: sparse mixtures, routers, transformers")
set(clearway_train_requires "clearway-deep, clearway-io")
set(clearway_train_description "training: data, loop, checkpoints, measures")

set(clearway_floors base core stat io fusion report)
if(CLEARWAY_DEEP)
  list(APPEND clearway_floors deep train)
  # The arithmetic below deep, static like it; its headers are nobody else's affair.
  install(TARGETS clearway_kernels EXPORT clearway-deep ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
endif()

# Relative, so that an installed tree may be moved.
file(RELATIVE_PATH pc_up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})

foreach(floor IN LISTS clearway_floors)
  install(TARGETS clearway_${floor} EXPORT clearway-${floor}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
  install(EXPORT clearway-${floor} FILE clearway-${floor}-targets.cmake NAMESPACE clearway::
    DESTINATION ${package_dir} COMPONENT dev)
  set(floor_requires "${clearway_${floor}_requires}")
  set(floor_libs "${clearway_${floor}_libs}")
  set(floor_cflags "${clearway_${floor}_cflags}")
  set(floor_description "${clearway_${floor}_description}")
  configure_file(cmake/clearway.pc.in pkgconfig/clearway-${floor}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/pkgconfig/clearway-${floor}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endforeach()

configure_package_config_file(cmake/clearwayConfig.cmake.in clearwayConfig.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a new minor version may change interfaces.
write_basic_package_version_file(clearwayConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/clearwayConfig.cmake
  ${PROJECT_BINARY_DIR}/clearwayConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindLibCsv.cmake
  DESTINATION ${package_dir} COMPONENT dev)
install(FILES LICENSE CHANGELOG.md CITATION.cff README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
install(DIRECTORY data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/clearway/data COMPONENT runtime)

# Debian packages: cpack -G DEB. The libraries are static, in which dpkg-shlibdeps finds nothing: what a user of the
# headers and archives needs is listed by hand.
set(CPACK_PACKAGE_NAME clearway)
set(CPACK_PACKAGE_CONTACT "Clearway developers <clearway@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL runtime dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME clearway)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION math)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libclearway-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libfmt-dev (>= 9), libeigen3-dev (>= 3.4), nlohmann-json3-dev (>= 3.11), libcsv-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "clearway, cmake (>= 3.25) | pkg-config, libceres-dev")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "The program clearway, its manual and completion, a small data set.")
set(CPACK_COMPONENT_DEV_DESCRIPTION "Headers, static libraries, and files for CMake and pkg-config.")
include(CPack)
