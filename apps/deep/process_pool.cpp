#include "process_pool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "clearway/base/errors.hpp"

namespace clearway::cli {
namespace {

struct Child {
  std::size_t job = 0;
  pid_t process = 0;
  int pipe = -1;
  std::string text;
};

/// Waits for a child whose pipe is closed on its side, or that was killed.
int status_of(const Child& child) {
  ::close(child.pipe);
  int status = 0;
  while (::waitpid(child.process, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// Children that run. None outlives it.
struct Children {
  std::vector<Child> running;

  Children() = default;
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children() {
    kill_all();
    for (const Child& child : running) status_of(child);
  }
  void kill_all() const {
    for (const Child& child : running) ::kill(child.process, SIGKILL);
  }
};

void write_all(int file, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t some = ::write(file, text.data() + written, text.size() - written);
    if (some < 0 && errno == EINTR) continue;
    if (some <= 0) return;
    written += static_cast<std::size_t>(some);
  }
}

/// The child's whole life. The first letter says how it went: + a result, u a user's mistake, - a failure.
[[noreturn]] void live(int file, std::size_t job, const std::function<std::string(std::size_t)>& work) {
  ::signal(SIGINT, SIG_IGN);  // the parent decides
  try {
    write_all(file, "+" + work(job));
  } catch (const std::invalid_argument& problem) {
    write_all(file, std::string("u") + problem.what());
  } catch (const std::exception& problem) {
    write_all(file, std::string("-") + problem.what());
  } catch (...) {
    ::_exit(1);
  }
  ::close(file);
  ::_exit(0);  // no destructors: they belong to the parent
}

Child start(std::size_t job, const std::function<std::string(std::size_t)>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) world_error("no pipe to a further process: {}", std::strerror(errno));
  const pid_t process = ::fork();
  if (process < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    world_error("no further process can be started: {}", std::strerror(errno));
  }
  if (process == 0) {
    ::close(ends[0]);
    live(ends[1], job, work);
  }
  ::close(ends[1]);
  return {job, process, ends[0], {}};
}

/// Reads what is there; false at the end.
bool read_some(Child& child) {
  char buffer[65536];
  const ssize_t some = ::read(child.pipe, buffer, sizeof buffer);
  if (some < 0 && errno == EINTR) return true;
  if (some <= 0) return false;
  child.text.append(buffer, static_cast<std::size_t>(some));
  return true;
}

}  // namespace

bool run_in_processes(std::size_t count, std::size_t at_once, const std::function<std::string(std::size_t)>& job,
                      const std::function<void(std::size_t, const std::string&)>& done,
                      const std::function<bool()>& stop) {
  if (at_once == 0) user_error("processes must be at least 1, not 0");
  Children all;
  std::vector<Child>& children = all.running;
  std::size_t next = 0;
  std::string user_problem, problem;
  bool stopping = false;
  while (next < count || !children.empty()) {
    const bool failed = !user_problem.empty() || !problem.empty();
    if (!stopping && stop && stop()) {
      stopping = true;
      all.kill_all();
    }
    if (stopping || failed) next = count;
    while (next < count && children.size() < at_once) children.push_back(start(next++, job));
    std::vector<pollfd> waiting;
    waiting.reserve(children.size());
    for (const Child& child : children) waiting.push_back({child.pipe, POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), 200);
    for (std::size_t i = children.size(); i-- > 0;) {
      if (waiting[i].revents == 0 || read_some(children[i])) continue;
      const Child child = children[i];
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
      const int status = status_of(child);
      if (stopping) continue;
      // What a process left that died while it wrote is no result.
      const bool whole = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !child.text.empty();
      const char how = whole ? child.text.front() : ' ';
      if (how == '+')
        done(child.job, child.text.substr(1));
      else if (how == 'u')
        user_problem = child.text.substr(1);
      else if (how == '-')
        problem = child.text.substr(1);
      else
        problem = WIFSIGNALED(status) ? std::string("a process of the study was killed: ") + strsignal(WTERMSIG(status))
                                      : "a process of the study ended without a result";
    }
  }
  if (!user_problem.empty()) user_error("{}", user_problem);
  if (!problem.empty()) world_error("{}", problem);
  return !stopping;
}

}  // namespace clearway::cli
