// In clearway: the commands that need torch go to clearway-train, with the same words.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "../own_words.hpp"
#include "clearway/base/errors.hpp"
#include "programs.hpp"

namespace clearway::cli {
namespace {

void set_unless_given(const char* name, const char* value) {
  ::setenv(name, value, 0);
}

/// Torch's libraries read these when they are loaded, before any main(). What the user has set stays.
void prepare_environment() {
  // Threads that wait sleep: spinning ones make two of them fifty times slower than one on a busy machine.
  set_unless_given("OMP_WAIT_POLICY", "passive");
  set_unless_given("GOMP_SPINCOUNT", "0");
  set_unless_given("OPENBLAS_THREAD_TIMEOUT", "10");
#if defined(__x86_64__)
  // OpenBLAS takes a processor that is newer than itself for one of 2004, and multiplies four times slower.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw")) {
    set_unless_given("OPENBLAS_CORETYPE", "SkylakeX");
    set_unless_given("ATEN_CPU_CAPABILITY", "avx512");
  } else if (__builtin_cpu_supports("avx2")) {
    set_unless_given("OPENBLAS_CORETYPE", "Haswell");
  }
#endif
}

/// Becomes clearway-train. It lies beside this program, or on the PATH.
ExitCode hand_over() {
  prepare_environment();
  std::vector<std::string> words = own_words();
  std::error_code ignored;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", ignored);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (!own.empty()) {
    const std::string beside = (own.parent_path() / "clearway-train").string();
    ::execv(beside.c_str(), arguments.data());
  }
  ::execvp("clearway-train", arguments.data());
  world_error(
      "this command needs the program clearway-train, which is neither beside clearway nor on the PATH ({}); it is "
      "built where LibTorch is found (see README, Set up)",
      std::strerror(errno));
}

}  // namespace

ExitCode train(TrainRequest&, Context&) {
  return hand_over();
}
ExitCode evaluate(EvaluateRequest&, Context&) {
  return hand_over();
}
ExitCode generate(GenerateRequest&, Context&) {
  return hand_over();
}
ExitCode study_teacher(const Command&, const RunOutput&, TeacherRequest&, Context&) {
  return hand_over();
}
ExitCode study_collapse(CollapseRequest&, Context&) {
  return hand_over();
}
ExitCode fuse_train(FuseTrainRequest&, Context&) {
  return hand_over();
}
ExitCode fuse_evaluate(FuseEvaluateRequest&, Context&) {
  return hand_over();
}
ExitCode fuse_predict(FusePredictRequest&, Context&) {
  return hand_over();
}
ExitCode fuse_sweep(FuseSweepRequest&, Context&) {
  return hand_over();
}

}  // namespace clearway::cli
