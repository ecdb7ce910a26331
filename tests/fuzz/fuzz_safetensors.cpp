// Any bytes are a safetensors file or a std::invalid_argument; and a file that was read is written and read back equal.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "clearway/io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clearway;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::optional<SafetensorsFile> file;
  try {
    file = SafetensorsFile::from_bytes(bytes, "fuzz");
  } catch (const std::invalid_argument&) {
    return 0;
  }
  const std::string written = safetensors_to_bytes(file->tensors(), file->metadata());
  const auto back = SafetensorsFile::from_bytes(written, "back");
  if (back.metadata() != file->metadata() || back.tensors().size() != file->tensors().size()) std::abort();
  for (const auto& tensor : file->tensors()) {
    const auto& twin = back.at(tensor.name);
    if (twin.type != tensor.type || twin.shape != tensor.shape || twin.bytes != tensor.bytes) std::abort();
  }
  return 0;
}
