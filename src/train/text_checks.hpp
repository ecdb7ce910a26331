// What all readers of text ask of it: well-formed UTF-8, words between ASCII white space, places for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace clearway::train {

/// Space, tabulator, line feed, carriage return, vertical tabulator, form feed.
constexpr bool is_white(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Line of a byte, from 1.
std::size_t line_of(std::string_view text, std::size_t byte);

/// Throws std::invalid_argument with source and line for text that is not UTF-8.
void check_utf8(std::string_view text, const std::string& source);

/// Calls visit(word) for everything between white space, and visit("\n") for every line feed.
template <class Visit>
void for_each_word(std::string_view text, const Visit& visit) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && !is_white(text[i])) continue;
    if (i > begin) visit(text.substr(begin, i - begin));
    if (i < text.size() && text[i] == '\n') visit(text.substr(i, 1));
    begin = i + 1;
  }
}

}  // namespace clearway::train
