#include "text_checks.hpp"

#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway::train {

std::size_t line_of(std::string_view text, std::size_t byte) {
  return static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(byte), '\n')) + 1;
}

void check_utf8(std::string_view text, const std::string& source) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i, 4));
    if (length == 0)
      user_error(
          "{}: line {} is not UTF-8 text (byte {} of the text); convert it, for example with iconv -f latin1 "
          "-t utf-8, or read bytes",
          source, line_of(text, i), i + 1);
    i += length;
  }
}

}  // namespace clearway::train
