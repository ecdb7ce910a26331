// Bytes that can be read twice: memory, a file, or a pipe whose bytes are kept in an unnamed temporary file meanwhile.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace clearway::detail {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the buffer as far as there are bytes; fewer than `size` only at the end.
  virtual std::size_t read(char* buffer, std::size_t size) = 0;
  /// Starts again at the first byte.
  virtual void rewind() = 0;
  /// Bytes in all, 0 when unknown.
  virtual std::size_t size() const = 0;
};

/// Bytes in memory, which must outlive the source.
std::unique_ptr<ByteSource> memory_source(std::string_view bytes);

/// A file, or standard input for "-". Throws like open_for_reading().
std::unique_ptr<ByteSource> file_source(const std::string& path);

}  // namespace clearway::detail
