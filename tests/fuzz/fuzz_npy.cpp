// Any bytes are an npy array or a std::invalid_argument; and an array that was read is written and read back equal.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "clearway/io/npy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clearway;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  NpyArray array;
  try {
    array = npy_from_bytes(bytes, "fuzz");
  } catch (const std::invalid_argument&) {
    return 0;
  }
  // Bytes are compared, not numbers: a NaN is not equal to itself.
  const std::string written = npy_to_bytes(array);
  const NpyArray back = npy_from_bytes(written, "back");
  if (back.shape != array.shape || back.values.index() != array.values.index() || npy_to_bytes(back) != written)
    std::abort();
  return 0;
}
