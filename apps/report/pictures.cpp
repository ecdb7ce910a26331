#include "pictures.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "../run_output.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/io/base64.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"

extern char** environ;

namespace clearway::cli {

namespace {

namespace fs = std::filesystem;

constexpr int kMostSeconds = 180;
/// The script tells that it is done by this element (web/src/main.js).
constexpr std::string_view kBegin = "<script type=\"application/json\" id=\"pictures\">";
constexpr std::string_view kEnd = "</script>";

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "clearway-report-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) world_error("{}: cannot be made: {}", pattern, std::strerror(errno));
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

bool is_program(const fs::path& path) {
  return ::access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path);
}

std::string find_browser(const std::string& asked) {
  const char* path = std::getenv("PATH");
  const std::string folders = path == nullptr ? "" : path;
  const std::vector<std::string> names =
      asked.empty() ? std::vector<std::string>{"chromium", "chromium-browser", "google-chrome", "chrome"}
                    : std::vector<std::string>{asked};
  for (const std::string& name : names) {
    if (name.find('/') != std::string::npos) {
      if (is_program(name)) return name;
      continue;
    }
    for (std::size_t begin = 0; begin <= folders.size();) {
      const std::size_t end = std::min(folders.find(':', begin), folders.size());
      const fs::path program = fs::path(folders.substr(begin, end - begin)) / name;
      if (is_program(program)) return program.string();
      begin = end + 1;
    }
  }
  if (!asked.empty()) world_error("--browser {}: there is no such program", asked);
  world_error(
      "--figures needs a browser that draws without a window, and there is no chromium on the PATH: install it (Debian "
      "and "
      "Ubuntu: apt-get install chromium), or name another one with --browser; the page of --out needs none");
}

/// Runs a program and returns what it writes to standard output; standard error is thrown away.
std::string output_of(std::vector<std::string> words) {
  int ends[2];
  if (::pipe(ends) != 0) world_error("a pipe cannot be made: {}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int problem = ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (problem != 0) {
    ::close(ends[0]);
    world_error("{}: cannot be started: {}", words.front(), std::strerror(problem));
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kMostSeconds);
  std::string text;
  bool late = false;
  for (char bytes[65536];;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{.fd = ends[0], .events = POLLIN, .revents = 0};
    const int count = left.count() > 0 ? ::poll(&ready, 1, static_cast<int>(left.count())) : 0;
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      late = true;
      ::kill(child, SIGKILL);
      break;
    }
    const ssize_t size = ::read(ends[0], bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(bytes, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) world_error("{}: has not drawn the figures in {} s", words.front(), kMostSeconds);
  return text;
}

}  // namespace

std::vector<std::string> write_pictures(const std::string& page, const std::string& folder, const std::string& browser,
                                        bool force) {
  const std::string program = find_browser(browser);
  const TemporaryFolder temporary;
  const fs::path file = temporary.path() / "report.html";
  write_file(file.string(), page);
  std::vector<std::string> words{program,
                                 "--headless",
                                 "--disable-gpu",
                                 "--hide-scrollbars",
                                 "--window-size=1100,900",
                                 "--virtual-time-budget=60000",
                                 "--user-data-dir=" + (temporary.path() / "profile").string(),
                                 "--dump-dom",
                                 "file://" + file.string() + "#pictures"};
  if (::geteuid() == 0) words.insert(words.begin() + 1, "--no-sandbox");  // chromium refuses to sandbox root
  const std::string document = output_of(words);
  const std::size_t begin = document.find(kBegin);
  const std::size_t end = begin == std::string::npos ? begin : document.find(kEnd, begin);
  if (end == std::string::npos) world_error("{}: has drawn no figures", program);
  const Json pictures =
      parse_json(std::string_view(document).substr(begin + kBegin.size(), end - begin - kBegin.size()), program);

  std::vector<std::string> names;
  for (const Json& picture : pictures) {
    const std::string stem = (fs::path(folder) / picture["name"].get<std::string>()).string();
    names.push_back(stem + ".svg");
    names.push_back(stem + ".png");
  }
  for (const std::string& name : names) refuse_present(name, force);
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) world_error("{}: the folder cannot be made: {}", folder, problem.message());
  std::size_t i = 0;
  for (const Json& picture : pictures) {
    write_file(names[i++], picture["svg"].get<std::string>() + "\n");
    write_file(names[i++], from_base64(picture["png"].get<std::string>(), program));
  }
  return names;
}

}  // namespace clearway::cli
