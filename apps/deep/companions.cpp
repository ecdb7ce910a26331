#include "companions.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>

#include "../own_words.hpp"
#include "clearway/base/errors.hpp"

namespace clearway::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// The environment with other values of some variables.
std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const bool changed = std::any_of(changes.begin(), changes.end(), [&](const auto& change) {
      return variable.substr(0, variable.find('=')) == change.first;
    });
    if (!changed) out.emplace_back(variable);
  }
  for (const auto& [name, value] : changes) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

/// The last line that is not empty.
std::string last_line(std::FILE* file) {
  std::rewind(file);
  std::string line, last;
  for (int c = 0; (c = std::fgetc(file)) != EOF;) {
    if (c == '\n' || c == '\r')
      line.clear();
    else
      last = line += static_cast<char>(c);
  }
  return last;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("ended with code {}", WEXITSTATUS(status));
}

}  // namespace

void Companions::start(int processes, int port) {
  std::vector<std::string> words = own_words();
  for (int rank = 1; rank < processes; ++rank) {
    std::vector<std::string> variables = environment_with({{"RANK", std::to_string(rank)},
                                                           {"LOCAL_RANK", std::to_string(rank)},
                                                           {"WORLD_SIZE", std::to_string(processes)},
                                                           {"LOCAL_WORLD_SIZE", std::to_string(processes)},
                                                           {"MASTER_ADDR", "127.0.0.1"},
                                                           {"MASTER_PORT", std::to_string(port)}});
    Process process;
    process.rank = rank;
    process.errors.reset(std::tmpfile());
    if (!process.errors) world_error("no temporary file can be made: {}", std::strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(process.errors.get()), STDERR_FILENO);
    // Not the sockets of this process: they would stay open when it ends, and nobody would notice.
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    posix_spawnattr_setsigmask(&attributes, &blocked);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::vector<char*> arguments = pointers(words), values = pointers(variables);
    const int problem =
        posix_spawn(&process.id, "/proc/self/exe", &actions, &attributes, arguments.data(), values.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (problem != 0) world_error("process {} of {} cannot be started: {}", rank, processes, std::strerror(problem));
    processes_.push_back(std::move(process));
  }
}

void Companions::check() {
  all_ended(0);
  // Those that only lost another one come second.
  const Process* guilty = nullptr;
  std::string reason;
  for (const Process& process : processes_) {
    if (!process.status || *process.status == 0) continue;
    const std::string said = last_line(process.errors.get());
    const bool follows = said.find("another process ended") != std::string::npos;
    if (guilty != nullptr && follows) continue;
    guilty = &process;
    reason = said;
    if (!follows) break;
  }
  if (guilty != nullptr)
    world_error("process {} of {} {}{}{}", guilty->rank, processes_.size() + 1, how_it_ended(*guilty->status),
                reason.empty() ? "" : ": ", reason);
}

void Companions::check_after_loss() {
  constexpr double kSeconds = 3;
  all_ended(kSeconds);
  check();
}

void Companions::finish() {
  constexpr double kSeconds = 60;
  all_ended(kSeconds);
  check();
}

bool Companions::all_ended(double seconds) {
  const auto start = Clock::now();
  for (;;) {
    bool all = true;
    for (Process& process : processes_) {
      int status = 0;
      if (!process.status && waitpid(process.id, &status, WNOHANG) == process.id) process.status = status;
      all = all && process.status.has_value();
    }
    if (all || std::chrono::duration<double>(Clock::now() - start).count() >= seconds) return all;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Companions::~Companions() {
  constexpr double kSeconds = 2;
  if (all_ended(kSeconds)) return;
  for (const int signal : {SIGTERM, SIGKILL}) {
    for (const Process& process : processes_)
      if (!process.status) kill(process.id, signal);
    if (all_ended(kSeconds)) return;
  }
}

}  // namespace clearway::cli
