#include "clearway/io/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace {

struct Closer {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

std::string temporary_name(const std::string& target) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}.{}-{}.tmp", target, getpid(), count.fetch_add(1));
}

}  // namespace

std::FILE* open_for_reading(const std::string& path) {
  if (path.empty()) user_error("a file name is empty");
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    const int reason = errno;
    if (reason == ENOENT || reason == ENOTDIR) user_error("{}: there is no such file", path);
    world_error("{}: cannot be opened: {}", path, std::strerror(reason));
  }
  struct stat status {};
  if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
    std::fclose(file);
    user_error("{}: is a folder, not a file", path);
  }
  return file;
}

std::string read_file(const std::string& path, std::size_t most) {
  const std::unique_ptr<std::FILE, Closer> file(path == "-" ? stdin : open_for_reading(path));
  const std::string name = path == "-" ? "standard input" : path;
  std::string bytes;
  constexpr std::size_t kChunk = std::size_t{1} << 16;
  for (;;) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kChunk);
    const std::size_t got = std::fread(bytes.data() + before, 1, kChunk, file.get());
    bytes.resize(before + got);
    if (bytes.size() > most) user_error("{}: is larger than {} bytes, too large for this kind of file", name, most);
    if (got < kChunk) break;
  }
  if (std::ferror(file.get()) != 0) world_error("{}: cannot be read: {}", name, std::strerror(errno));
  return bytes;
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) user_error("a file name is empty");
  if (path_ == "-") {
    file_ = stdout;
    return;
  }
  namespace fs = std::filesystem;
  std::error_code none;
  const fs::file_status status = fs::status(path_, none);
  if (fs::is_directory(status)) user_error("{}: is a folder, not a file", path_);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    file_ = std::fopen(path_.c_str(), "wb");
    if (file_ == nullptr) fail("cannot be opened for writing");
    return;
  }
  target_ = path_;
  if (const fs::path resolved = fs::weakly_canonical(path_, none); !none) target_ = resolved.string();
  temporary_ = temporary_name(target_);
  const int descriptor = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    temporary_.clear();
    fail("cannot be created");
  }
  file_ = fdopen(descriptor, "wb");
  if (file_ == nullptr) fail("cannot be created");
  if (fs::exists(status)) fchmod(descriptor, static_cast<mode_t>(status.permissions()));
}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* what) const {
  world_error("{}: {}: {}", path_, what, std::strerror(errno));
}

void AtomicFile::write(std::string_view bytes) {
  if (bytes.empty()) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail("cannot be written");
}

void AtomicFile::commit(bool sync) {
  if (std::fflush(file_) != 0) fail("cannot be written");
  if (sync && !temporary_.empty() && fsync(fileno(file_)) != 0) fail("cannot be written to the disk");
  if (file_ != stdout) {
    std::FILE* file = file_;
    file_ = nullptr;
    if (std::fclose(file) != 0) fail("cannot be written");
  }
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot be renamed into place");
  temporary_.clear();
}

AppendingFile::AppendingFile(std::string path)
    : path_(std::move(path)), descriptor_(open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) world_error("{}: cannot be opened for writing: {}", path_, std::strerror(errno));
}

AppendingFile::~AppendingFile() {
  close(descriptor_);
}

void AppendingFile::write(std::string_view bytes) {
  const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
  if (written == static_cast<ssize_t>(bytes.size())) return;
  world_error("{}: cannot be written: {}", path_, written < 0 ? std::strerror(errno) : "the disk is full");
}

void write_file(const std::string& path, std::string_view bytes, bool sync) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit(sync);
}

}  // namespace clearway
