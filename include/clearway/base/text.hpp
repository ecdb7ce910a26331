// Small helpers for words in messages: edit distance, plurals, lists that stay short, names of options and JSON keys.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace clearway {

/// Edit distance between two words: insertions, deletions, substitutions and swaps of neighbours, each costing 1
/// (optimal string alignment; Damerau 1964). Works on bytes.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// "1 row", "2 rows".
std::string plural(std::size_t count, std::string_view noun);

/// The names separated by ", ", cut after `most` of them: "a, b, c, ... (17 in all)".
std::string short_list(std::span<const std::string> names, std::size_t most = 12);

/// " (did you mean 'x'?)" for the nearest of `known`, or nothing when none is near (see nearest_name()).
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

/// The JSON key of an option: '-' becomes '_'.
std::string snake_case(std::string_view option_name);

/// Text fit for a one-line message: control bytes become \xNN, more than `most` bytes are cut and end in "...".
std::string quoted_for_message(std::string_view text, std::size_t most = 60);

/// Bytes (1 to 4) of the well-formed UTF-8 sequence that a text begins with; 0 when it is empty or begins with none
/// (RFC 3629, section 4: overlong forms and surrogates are refused).
std::size_t utf8_length(std::string_view text);

}  // namespace clearway
