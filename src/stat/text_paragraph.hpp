// A paragraph of running text, broken into lines that fit.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace clearway::detail {

/// Lines of at most `width` columns (longer words stay whole), each ended; lines after the first are indented.
inline std::string paragraph(std::string_view text, std::size_t width, std::size_t indent = 0) {
  std::string result;
  std::size_t column = 0;
  bool line_start = true;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t space = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, space - begin);
    begin = space + 1;
    if (!line_start && column + 1 + word.size() > width) {
      result += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!line_start) {
      result += ' ';
      ++column;
    }
    line_start = false;
    result += word;
    column += word.size();
  }
  return result + '\n';
}

}  // namespace clearway::detail
