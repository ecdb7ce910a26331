#include "text.hpp"

#include <fmt/format.h>

#include "clearway/base/text.hpp"

namespace clearway::report {

std::string valid_text(std::string_view text) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text.front());
    const bool control = length == 1 && (byte < 0x20 || byte == 0x7F) && byte != '\n' && byte != '\t';
    if (length == 0 || control)
      result += replacement;
    else
      result += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

std::string number_text(double value) {
  return fmt::format("{:.6g}", value);
}

}  // namespace clearway::report
