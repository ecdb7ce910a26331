// Named tensors in one file: the safetensors format (huggingface/safetensors, "Format" in its README).
//
// Eight bytes with the length of the header (little-endian), the header as a JSON object
//     {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
// and the numbers, little-endian, last axis fastest; offsets count from the end of the header. Anything else is refused:
// a header over 100 MB, a name that occurs twice, an unknown dtype, offsets outside of the file, overlaps, holes, a size
// that is not shape x dtype, bytes behind the last tensor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearway {

/// Number types in the order of the reference implementation, which lays out the widest first.
enum class TensorType { boolean, u8, i8, f8_e5m2, f8_e4m3, i16, u16, f16, bf16, i32, u32, f32, f64, i64, u64 };

/// "F32", "BF16", "BOOL", ...
std::string_view tensor_type_name(TensorType type);
/// Bytes of one number.
std::size_t tensor_type_width(TensorType type);

/// One tensor: what it is called and where its bytes are. It does not own them.
struct TensorBytes {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::int64_t> shape;  ///< empty for a single number
  std::string_view bytes;
};

using TensorMetadata = std::map<std::string, std::string>;

/// A file that was read. Copies share the bytes.
class SafetensorsFile {
 public:
  /// Maps the file into memory: numbers are read from the disk when they are looked at. The file must not be shortened
  /// meanwhile. Throws std::invalid_argument, naming the file, for anything that is not such a file.
  static SafetensorsFile open(const std::string& path);
  /// The same for bytes in memory, which must outlive the result.
  static SafetensorsFile from_bytes(std::string_view bytes, const std::string& source);

  /// In the order in which they lie in the file.
  const std::vector<TensorBytes>& tensors() const { return tensors_; }
  const TensorMetadata& metadata() const { return metadata_; }
  const std::string& source() const { return source_; }
  /// The tensor of that name, or nullptr.
  const TensorBytes* find(std::string_view name) const;
  /// The tensor of that name. Throws std::invalid_argument that names the nearest one.
  const TensorBytes& at(std::string_view name) const;

 private:
  std::shared_ptr<const void> mapping_;
  std::string source_;
  std::vector<TensorBytes> tensors_;
  TensorMetadata metadata_;
};

/// Writes a file, tensors ordered by type, widest first, then by name, as the reference implementation does. The file
/// appears only when complete; with `sync` its bytes are on the disk before its name is. Throws std::invalid_argument for
/// names that occur twice and bytes that do not fit the shape.
void write_safetensors(const std::string& path, std::span<const TensorBytes> tensors,
                       const TensorMetadata& metadata = {}, bool sync = false);
std::string safetensors_to_bytes(std::span<const TensorBytes> tensors, const TensorMetadata& metadata = {});

}  // namespace clearway
