// Whole files: read them, and write them so that a reader never sees half of one.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace clearway {

/// Opens a file for reading. Throws std::invalid_argument when it is not there or is a folder (the path is wrong),
/// std::runtime_error when the system refuses; both name the file and the reason. The caller closes it.
std::FILE* open_for_reading(const std::string& path);

/// The bytes of a file; "-" is standard input. Throws like open_for_reading(), and when it holds more than `most`
/// bytes.
std::string read_file(const std::string& path, std::size_t most = std::size_t{1} << 32);

/// A file that appears under its name only when it is complete: written beside under a temporary name, renamed by
/// commit(), removed when commit() is never reached. The path "-" is standard output, and a path that names something
/// other than a plain file (a pipe, /dev/null) is written in place.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  /// Finishes the file. With `sync` the bytes are on the disk before the name is (slower; for checkpoints).
  void commit(bool sync = false);

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;       ///< as the user wrote it, for messages
  std::string target_;     ///< where it will lie: symbolic links resolved; empty when written in place
  std::string temporary_;  ///< where it is being written; empty when written in place
  std::FILE* file_ = nullptr;
};

/// A file that grows: every write() goes to its end whole, by one call of the system, so that a reader, or a program that
/// starts again after a crash, finds whole entries and at most one torn one at the end.
class AppendingFile {
 public:
  /// Opens the file, or makes an empty one. Throws std::runtime_error naming it when that fails.
  explicit AppendingFile(std::string path);
  ~AppendingFile();
  AppendingFile(const AppendingFile&) = delete;
  AppendingFile& operator=(const AppendingFile&) = delete;

  void write(std::string_view bytes);

 private:
  std::string path_;
  int descriptor_;
};

/// Writes a whole file by AtomicFile.
void write_file(const std::string& path, std::string_view bytes, bool sync = false);

}  // namespace clearway
