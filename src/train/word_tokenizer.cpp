#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "text_checks.hpp"
#include "tokenizers.hpp"

namespace clearway::train {

namespace {

constexpr std::int32_t kUnknown = 0;
constexpr std::int32_t kLineEnd = 1;
constexpr const char* kSpecial[] = {"<unk>", "<eos>"};

class WordTokenizer final : public Tokenizer {
 public:
  explicit WordTokenizer(std::vector<std::string> symbols) : table_(std::move(symbols)) {}

  TokenizerKind kind() const override { return TokenizerKind::word; }
  std::int64_t size() const override { return table_.size(); }
  TokenIds encode(std::string_view text, const std::string& source) const override {
    check_utf8(text, source);
    TokenIds ids;
    for_each_word(text,
                  [&](std::string_view word) { ids.push_back(word == "\n" ? kLineEnd : table_.id(word, kUnknown)); });
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    bool line_begins = true;
    for (const std::int32_t id : ids) {
      if (id == kLineEnd) {
        text += '\n';
      } else {
        if (!line_begins) text += ' ';
        text += table_.symbol(id);
      }
      line_begins = id == kLineEnd;
    }
    return text;
  }
  std::string symbol(std::int32_t id) const override { return table_.symbol(id); }
  std::int32_t unknown() const override { return kUnknown; }
  std::int32_t line_end() const override { return kLineEnd; }
  Json to_json() const override { return {{"tokenizer", enum_name(kind())}, {"symbols", table_.symbols()}}; }

 private:
  SymbolTable table_;
};

}  // namespace

std::unique_ptr<Tokenizer> word_tokenizer(const TokenizerOptions& options, std::string_view text,
                                          const std::string& source) {
  check_utf8(text, source);
  SymbolCounts counts;
  for_each_word(text, [&](std::string_view word) {
    if (word != "\n" && word != kSpecial[0] && word != kSpecial[1]) ++counts[word];
  });
  std::vector<std::string> symbols = frequent_symbols(counts, options, source);
  symbols.insert(symbols.begin(), std::begin(kSpecial), std::end(kSpecial));
  return std::make_unique<WordTokenizer>(std::move(symbols));
}

std::unique_ptr<Tokenizer> word_tokenizer(std::vector<std::string> symbols, const std::string& source) {
  if (symbols.size() < 3 || symbols[0] != kSpecial[0] || symbols[1] != kSpecial[1])
    user_error("{}: symbols must begin with {} and {}, and have words", source, kSpecial[0], kSpecial[1]);
  for (const auto& word : symbols)
    if (word.empty() || std::any_of(word.begin(), word.end(), is_white))
      user_error("{}: symbols: {} is not a word", source, quoted_for_message(word));
  return std::make_unique<WordTokenizer>(std::move(symbols));
}

}  // namespace clearway::train
