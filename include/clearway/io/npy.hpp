// One numeric array in NumPy's .npy format, versions 1.0 and 2.0, C order, little-endian float64, float32 or int64.
// The format: numpy.lib.format, "NPY format" (magic string, version, length of the header, a Python dict, raw bytes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace clearway {

struct NpyArray {
  std::vector<std::size_t> shape;  ///< empty for a single number
  std::variant<std::vector<double>, std::vector<float>, std::vector<std::int64_t>> values;  ///< last axis fastest

  /// Number of elements.
  std::size_t size() const;
  /// The values as double, whatever their type.
  std::vector<double> as_double() const;
};

/// Reads an array. Throws std::invalid_argument, naming the source, for anything that is not such a file: other types,
/// Fortran order of more than one axis, a shape that does not fit the number of bytes.
NpyArray read_npy(const std::string& path);
NpyArray npy_from_bytes(std::string_view bytes, const std::string& source);

/// Writes version 1.0 (2.0 when the header is too long for it). The file appears only when complete.
void write_npy(const std::string& path, const NpyArray& array);
std::string npy_to_bytes(const NpyArray& array);

}  // namespace clearway
