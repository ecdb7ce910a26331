#include "byte_source.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "clearway/base/errors.hpp"
#include "clearway/io/file.hpp"

namespace clearway::detail {

namespace {

struct Closer {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, Closer>;

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
  std::size_t read(char* buffer, std::size_t size) override {
    const std::size_t count = std::min(size, bytes_.size() - position_);
    if (count > 0) std::memcpy(buffer, bytes_.data() + position_, count);
    position_ += count;
    return count;
  }
  void rewind() override { position_ = 0; }
  std::size_t size() const override { return bytes_.size(); }

 private:
  std::string_view bytes_;
  std::size_t position_ = 0;
};

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path)
      : name_(path == "-" ? "standard input" : path), file_(path == "-" ? stdin : open_for_reading(path)) {
    struct stat status {};
    if (fstat(fileno(file_.get()), &status) == 0 && S_ISREG(status.st_mode)) {
      start_ = std::max<off_t>(0, ftello(file_.get()));
      size_ = static_cast<std::size_t>(std::max<off_t>(0, status.st_size - start_));
    } else {  // a pipe or a terminal: keep what passes by
      kept_.reset(std::tmpfile());
      if (!kept_) world_error("{}: no temporary file can be made: {}", name_, std::strerror(errno));
    }
  }

  std::size_t read(char* buffer, std::size_t size) override {
    std::size_t count = 0;
    if (at_ < kept_bytes_) {  // what has passed by before
      seek(kept_.get(), at_);
      count = std::fread(buffer, 1, std::min(size, kept_bytes_ - at_), kept_.get());
      if (std::ferror(kept_.get()) != 0) world_error("{}: cannot be read again: {}", name_, std::strerror(errno));
    }
    if (count < size) {
      const std::size_t more = std::fread(buffer + count, 1, size - count, file_.get());
      if (std::ferror(file_.get()) != 0) world_error("{}: cannot be read: {}", name_, std::strerror(errno));
      if (kept_) keep(buffer + count, more);
      count += more;
    }
    at_ += count;
    return count;
  }

  void rewind() override {
    at_ = 0;
    if (!kept_) seek(file_.get(), static_cast<std::size_t>(start_));
  }

  std::size_t size() const override { return size_; }

 private:
  void seek(std::FILE* file, std::size_t place) const {
    if (fseeko(file, static_cast<off_t>(place), SEEK_SET) != 0)
      world_error("{}: cannot be read again: {}", name_, std::strerror(errno));
  }
  void keep(const char* bytes, std::size_t count) {
    seek(kept_.get(), kept_bytes_);
    if (std::fwrite(bytes, 1, count, kept_.get()) != count)
      world_error("{}: the temporary copy cannot be written: {}", name_, std::strerror(errno));
    kept_bytes_ += count;
  }

  std::string name_;
  File file_;
  File kept_;  // of a pipe: all bytes read from it so far
  off_t start_ = 0;
  std::size_t size_ = 0;
  std::size_t at_ = 0;
  std::size_t kept_bytes_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> memory_source(std::string_view bytes) {
  return std::make_unique<MemorySource>(bytes);
}

std::unique_ptr<ByteSource> file_source(const std::string& path) {
  return std::make_unique<FileSource>(path);
}

}  // namespace clearway::detail
