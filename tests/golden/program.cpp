#include "program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "clearway/base/random.hpp"

namespace clearway::golden {

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void write_content(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << content) || !file.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

void redirect(const std::filesystem::path& path, int flags, int descriptor) {
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
  close(file);
}

}  // namespace

Workplace::Workplace() {
  std::string name = (std::filesystem::temp_directory_path() / "clearway-golden-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  folder_ = name;
}

Workplace::~Workplace() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Outcome Workplace::run(const std::vector<std::string>& words, const std::string& input,
                       const std::map<std::string, std::string>& environment,
                       const std::function<void(int)>& meanwhile) const {
  std::vector<std::string> arguments = {CLEARWAY_PROGRAM};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<std::string> variables;  // the first of a name counts
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  for (const std::string& usual :
       {std::string("PATH=/usr/bin:/bin"), "HOME=" + folder_.string(), std::string("LC_ALL=C")})
    variables.push_back(usual);
  for (const char* kept : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE"})
    if (const char* value = std::getenv(kept)) variables.push_back(std::string(kept) + "=" + value);
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> envp = pointers(variables);
  // The three streams lie beside the folder, so that the program sees only what the test put there.
  const std::string streams = folder_.string();
  write_content(streams + ".in", input);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    redirect(streams + ".in", O_RDONLY, STDIN_FILENO);
    redirect(streams + ".out", O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(streams + ".err", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    if (chdir(folder_.c_str()) != 0) _exit(126);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  if (meanwhile) meanwhile(child);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("lost the program");
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = content_of(streams + ".out");
  outcome.err = content_of(streams + ".err");
  for (const char* stream : {".in", ".out", ".err"}) std::filesystem::remove(streams + stream);
  return outcome;
}

Outcome Workplace::run(const std::string& line, const std::string& input,
                       const std::map<std::string, std::string>& environment,
                       const std::function<void(int)>& meanwhile) const {
  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; stream >> word;) words.push_back(word);
  return run(words, input, environment, meanwhile);
}

void Workplace::write(const std::string& name, const std::string& content) const {
  write_content(folder_ / name, content);
}

std::string Workplace::read(const std::string& name) const {
  return content_of(folder_ / name);
}

std::string two_experts_csv(int rows) {
  RandomStream random(20, 0);
  std::string text = "y,x1,x2,group\n";
  for (int t = 0; t < rows; ++t) {
    const double x1 = random.uniform(-2.0, 2.0);
    const double x2 = random.uniform(-2.0, 2.0);
    const bool first = random.uniform() < 1.0 / (1.0 + std::exp(-4.0 * x1));
    const double mean = first ? 3.0 + 2.0 * x1 - x2 : -3.0 - x1 + 0.5 * x2;
    const double y = mean + (first ? 0.3 : 0.5) * random.normal();
    text += fmt::format("{:.6f},{:.6f},{:.6f},{}\n", y, x1, x2, t % 2 == 0 ? "even" : "odd");
  }
  return text;
}

}  // namespace clearway::golden
