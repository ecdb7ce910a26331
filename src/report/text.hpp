// Text of any origin, made fit for JSON and HTML.
#pragma once

#include <string>
#include <string_view>

namespace clearway::report {

/// The text with U+FFFD in place of every byte that is not UTF-8 and of every control character but tab and line feed.
std::string valid_text(std::string_view text);

/// A number for people: six significant digits.
std::string number_text(double value);

}  // namespace clearway::report
