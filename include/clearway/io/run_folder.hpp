// A run folder: what one command leaves behind (config.json, model.json, summary.txt, history.jsonl, ...), and for training
// a folder `checkpoints` in it (train/checkpoint.hpp).
//
// A folder that already holds something is never written to. With `force`, a folder that holds a run is used again: the
// files of the old run are removed, anything else in it is left alone; a folder that holds no run is refused even then.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"

namespace clearway {

/// The names of all files that a run may have.
std::span<const std::string_view> run_file_names();

class RunFolder {
 public:
  /// Makes the folder (and those above it) or takes an empty one. Throws std::invalid_argument when it is in use.
  static RunFolder create(const std::string& path, bool force = false);
  /// An existing run. Throws std::invalid_argument when there is none.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }
  /// The path of a file in the folder. Throws std::logic_error for a name that is not in run_file_names().
  std::string file(std::string_view name) const;
  bool has(std::string_view name) const;
  /// The path of the folder of checkpoints, which need not be there: last, best and step-*.
  std::string checkpoints() const;

  /// Files appear only when complete.
  void write(std::string_view name, std::string_view bytes) const;
  void write_json(std::string_view name, const Json& document) const;
  /// Throw std::invalid_argument when the file is not there.
  std::string read(std::string_view name) const;
  Json read_json(std::string_view name) const;

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// One JSON object per line, each line written whole and at once, so that the file can be followed while it grows.
class JsonLines {
 public:
  explicit JsonLines(const std::string& path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;

  /// Throws like json_text(), and std::runtime_error when the disk is full.
  void write(const Json& object);

 private:
  std::string path_;
  std::FILE* file_;
};

/// The objects of a file of JSON lines.
std::vector<Json> read_json_lines(const std::string& path);

}  // namespace clearway
