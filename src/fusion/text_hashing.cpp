#include "text_hashing.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "clearway/base/hash.hpp"
#include "clearway/base/text.hpp"

namespace clearway::fusion::detail {

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool part = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) > 127;
    if (part && !inside) words.emplace_back();
    if (part) words.back() += upper ? static_cast<char>(c - 'A' + 'a') : c;
    inside = part;
  }
  return words;
}

std::vector<std::string> letters_of(const std::vector<std::string>& words) {
  std::vector<std::string> letters{" "};
  for (const auto& word : words) {
    for (std::string_view rest = word; !rest.empty();) {
      const std::size_t size = std::max<std::size_t>(1, utf8_length(rest));
      letters.emplace_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    letters.emplace_back(" ");
  }
  return letters;
}

}  // namespace

std::map<std::int64_t, double> hashed_counts(std::string_view text, const ModalitySpec& spec) {
  const bool by_word = spec.unit == TextUnit::word;
  std::vector<std::string> units = words_of(text);
  if (!by_word) units = letters_of(units);
  std::map<std::int64_t, double> counts;
  const auto shortest = static_cast<std::size_t>(spec.ngrams[0]), longest = static_cast<std::size_t>(spec.ngrams[1]);
  for (std::size_t begin = 0; begin < units.size(); ++begin) {
    std::string gram;
    for (std::size_t n = 1; n <= longest && begin + n <= units.size(); ++n) {
      if (n > 1 && by_word) gram += ' ';
      gram += units[begin + n - 1];
      if (n >= shortest) ++counts[static_cast<std::int64_t>(fnv1a(gram) % static_cast<std::uint64_t>(spec.buckets))];
    }
  }
  return counts;
}

}  // namespace clearway::fusion::detail
