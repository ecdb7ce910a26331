#include "clearway/io/run_folder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 18> kNames{"config.json",       "model.json",
                                                  "summary.txt",       "summary.json",
                                                  "history.jsonl",     "metrics.jsonl",
                                                  "predictions.csv",   "report.html",
                                                  "replications.csv",  "path.csv",
                                                  "select.json",       "vocabulary.json",
                                                  "model.safetensors", "events.out.tfevents.clearway",
                                                  "runs.jsonl",        "collapse.md",
                                                  "teacher.md",        "sweep.md"};
constexpr std::string_view kCheckpoints = "checkpoints";

bool is_run(const fs::path& folder) {
  std::error_code none;
  return fs::is_regular_file(folder / "config.json", none) || fs::is_regular_file(folder / "model.json", none);
}

void remove_path(const fs::path& path) {
  std::error_code problem;
  fs::remove_all(path, problem);
  if (problem) world_error("{}: cannot be removed: {}", path.string(), problem.message());
}

/// Removes the checkpoints of a run, and their folder when nothing else is in it.
void remove_checkpoints(const fs::path& folder) {
  std::error_code problem;
  if (!fs::is_directory(fs::symlink_status(folder, problem))) return;
  std::vector<fs::path> ours;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == "last" || name == "best" || name.starts_with("step-")) ours.push_back(entry.path());
  }
  for (const auto& path : ours) remove_path(path);
  if (fs::is_empty(folder, problem)) remove_path(folder);
}

}  // namespace

std::span<const std::string_view> run_file_names() {
  return kNames;
}

RunFolder RunFolder::create(const std::string& path, bool force) {
  if (path.empty()) user_error("the name of a run folder is empty");
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (fs::exists(status) && !fs::is_directory(status)) user_error("{}: is a file, not a folder for a run", path);
  if (!fs::exists(status)) {
    fs::create_directories(path, problem);
    if (problem) world_error("{}: the folder cannot be made: {}", path, problem.message());
    return RunFolder(path);
  }
  const bool empty = fs::is_empty(path, problem);
  if (problem) world_error("{}: the folder cannot be read: {}", path, problem.message());
  if (!empty) {
    if (!is_run(path)) user_error("{}: the folder holds other files and no run; choose another folder", path);
    if (!force)
      user_error("{}: the folder already holds a run; choose another folder, or replace it with --force", path);
    for (const auto name : kNames) {
      const fs::path file = fs::path(path) / name;
      if (fs::is_regular_file(file, problem)) remove_path(file);
    }
    remove_checkpoints(fs::path(path) / kCheckpoints);
  }
  return RunFolder(path);
}

RunFolder RunFolder::open(const std::string& path) {
  std::error_code none;
  const fs::file_status status = fs::status(path, none);
  if (!fs::exists(status)) user_error("{}: there is no such run folder", path);
  if (!fs::is_directory(status)) user_error("{}: is a file, not a run folder", path);
  if (!is_run(path)) user_error("{}: holds no run (neither config.json nor model.json)", path);
  return RunFolder(path);
}

std::string RunFolder::file(std::string_view name) const {
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end())
    throw std::logic_error(fmt::format("'{}' is not a file of a run", name));
  return (fs::path(path_) / name).string();
}

std::string RunFolder::checkpoints() const {
  return (fs::path(path_) / kCheckpoints).string();
}

bool RunFolder::has(std::string_view name) const {
  std::error_code none;
  return fs::is_regular_file(file(name), none);
}

void RunFolder::write(std::string_view name, std::string_view bytes) const {
  write_file(file(name), bytes);
}
void RunFolder::write_json(std::string_view name, const Json& document) const {
  write_file(file(name), json_text(document));
}
std::string RunFolder::read(std::string_view name) const {
  return read_file(file(name));
}
Json RunFolder::read_json(std::string_view name) const {
  return clearway::read_json(file(name));
}

JsonLines::JsonLines(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wb")) {
  if (file_ == nullptr) world_error("{}: cannot be created: {}", path_, std::strerror(errno));
}

JsonLines::~JsonLines() {
  std::fclose(file_);
}

void JsonLines::write(const Json& object) {
  const std::string line = json_text(object, -1);
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0)
    world_error("{}: cannot be written: {}", path_, std::strerror(errno));
}

std::vector<Json> read_json_lines(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<Json> objects;
  std::size_t line = 0;
  for (std::size_t start = 0; start < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', start), bytes.size());
    ++line;
    const std::string_view text(bytes.data() + start, end - start);
    if (!text.empty()) objects.push_back(parse_json(text, fmt::format("{}: entry {}", path, line)));
    start = end + 1;
  }
  return objects;
}

}  // namespace clearway
