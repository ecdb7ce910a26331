// Any bytes are a model file or a std::invalid_argument; and a model that was read is written and read back equal.
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "model_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clearway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  SavedModel saved;
  try {
    saved = model_from_json(parse_json(text, "fuzz"), "fuzz");
  } catch (const std::invalid_argument&) {
    return 0;
  }
  const std::string written = json_text(model_to_json(saved.model, saved.recipe));
  const SavedModel back = model_from_json(parse_json(written, "back"), "back");
  if (!(back.recipe == saved.recipe) || json_text(model_to_json(back.model, back.recipe)) != written) std::abort();
  return 0;
}
