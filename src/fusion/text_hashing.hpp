// Texts as counts of hashed n-grams: no vocabulary, no Python, any language that separates words or uses letters.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "clearway/fusion/spec.hpp"

namespace clearway::fusion::detail {

/// Occurrences of the n-grams of a text by bucket. Words are runs of letters, digits and bytes beyond ASCII, in lower case;
/// n-grams of words are joined by blanks; n-grams of letters (code points) run over words with one blank between and around.
std::map<std::int64_t, double> hashed_counts(std::string_view text, const ModalitySpec& spec);

}  // namespace clearway::fusion::detail
