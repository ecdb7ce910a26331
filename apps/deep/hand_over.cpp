// In clearway: the commands that need torch go to clearway-train, with the same words.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "../own_words.hpp"
#include "clearway/base/errors.hpp"
#include "programs.hpp"

namespace clearway::cli {
namespace {

/// Becomes clearway-train. It lies beside this program, or on the PATH.
ExitCode hand_over() {
  std::vector<std::string> words = own_words();
  std::error_code ignored;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", ignored);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (!own.empty()) {
    const std::string beside = (own.parent_path() / "clearway-train").string();
    ::execv(beside.c_str(), arguments.data());
  }
  ::execvp("clearway-train", arguments.data());
  world_error(
      "this command needs the program clearway-train, which is neither beside clearway nor on the PATH ({}); it is "
      "built where LibTorch is found (see README, Install)",
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
ExitCode study_collapse(CollapseRequest&, Context&) {
  return hand_over();
}

}  // namespace clearway::cli
