#include "run_program.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "clearway/base/errors.hpp"

namespace clearway::train {

namespace {

// Unnamed files and not pipes: nobody has to read while somebody writes.
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File unnamed_file() {
  File file(std::tmpfile(), std::fclose);
  if (!file) world_error("no temporary file can be made: {}", std::strerror(errno));
  return file;
}

std::string bytes_of(std::FILE* file) {
  std::string bytes;
  std::rewind(file);
  std::array<char, 65536> buffer{};
  for (std::size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), file)) > 0;)
    bytes.append(buffer.data(), count);
  if (std::ferror(file) != 0) world_error("a temporary file cannot be read: {}", std::strerror(errno));
  return bytes;
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments, std::string_view input) {
  const File in = unnamed_file();
  const File out = unnamed_file();
  const File errors = unnamed_file();
  if ((!input.empty() && std::fwrite(input.data(), 1, input.size(), in.get()) != input.size()) ||
      std::fflush(in.get()) != 0)
    world_error("a temporary file cannot be written: {}", std::strerror(errno));
  std::rewind(in.get());

  std::vector<char*> words;
  words.reserve(arguments.size() + 1);
  for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(in.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(out.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(errors.get()), STDERR_FILENO);
  pid_t child = 0;
  const int problem = posix_spawnp(&child, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) world_error("{}: cannot be started: {}", arguments[0], std::strerror(problem));
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) world_error("{}: cannot be waited for: {}", arguments[0], std::strerror(errno));
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), bytes_of(out.get()),
          bytes_of(errors.get())};
}

bool on_path(std::string_view program) {
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "" : path; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (access(fmt::format("{}/{}", rest.substr(0, end), program).c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace clearway::train
