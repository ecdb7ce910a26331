// Runs the built program `clearway` in a folder of its own and keeps what it said.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace clearway::golden {

struct Outcome {
  int code = -1;  ///< exit code; 128 + signal when a signal ended the program
  std::string out;
  std::string err;
};

/// A temporary folder, removed with the object; programs run inside it.
class Workplace {
 public:
  Workplace();
  ~Workplace();
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  /// Runs `clearway words...` with standard input from `input`. `environment` is added to a bare one (PATH, HOME and no
  /// terminal variables), so that the caller's NO_COLOR or OMP_NUM_THREADS change nothing.
  /// `meanwhile` is called with the number of its process while it runs.
  Outcome run(const std::vector<std::string>& words, const std::string& input = {},
              const std::map<std::string, std::string>& environment = {},
              const std::function<void(int)>& meanwhile = {}) const;
  /// The same, with the words as one line separated by single spaces.
  Outcome run(const std::string& line, const std::string& input = {},
              const std::map<std::string, std::string>& environment = {},
              const std::function<void(int)>& meanwhile = {}) const;

  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;
  bool exists(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

/// A table y, x1, x2 with two well separated linear experts, made from a fixed seed; `rows` rows.
std::string two_experts_csv(int rows);

}  // namespace clearway::golden
