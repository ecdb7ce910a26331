#include "clearway/train/tokenizer.hpp"

#include <algorithm>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/base64.hpp"
#include "clearway/io/file.hpp"
#include "text_checks.hpp"
#include "tokenizers.hpp"

namespace clearway::train {

namespace {

constexpr const char* kUnknown = "<unk>";

class ByteTokenizer final : public Tokenizer {
 public:
  TokenizerKind kind() const override { return TokenizerKind::byte; }
  std::int64_t size() const override { return 256; }
  TokenIds encode(std::string_view text, const std::string&) const override {
    TokenIds ids(text.size());
    std::transform(text.begin(), text.end(), ids.begin(), [](char c) { return static_cast<unsigned char>(c); });
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) text += symbol(id);
    return text;
  }
  std::string symbol(std::int32_t id) const override {
    check_token(id, size());
    return {static_cast<char>(id)};
  }
  std::int32_t line_end() const override { return '\n'; }
  Json to_json() const override { return {{"tokenizer", enum_name(kind())}}; }
};

class Text8Tokenizer final : public Tokenizer {
 public:
  TokenizerKind kind() const override { return TokenizerKind::text8; }
  std::int64_t size() const override { return 27; }
  TokenIds encode(std::string_view text, const std::string& source) const override {
    TokenIds ids;
    ids.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c != ' ' && (c < 'a' || c > 'z'))
        user_error("{}: line {}: text8 has spaces and the letters a to z only, not {} (byte {} of the text)", source,
                   line_of(text, i),
                   quoted_for_message(text.substr(i, std::max<std::size_t>(1, utf8_length(text.substr(i, 4))))), i + 1);
      ids.push_back(c == ' ' ? 0 : c - 'a' + 1);
    }
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) text += symbol(id);
    return text;
  }
  std::string symbol(std::int32_t id) const override {
    check_token(id, size());
    return {id == 0 ? ' ' : static_cast<char>('a' + id - 1)};
  }
  Json to_json() const override { return {{"tokenizer", enum_name(kind())}}; }
};

/// Code points; symbol 0 is <unk>.
class CharacterTokenizer final : public Tokenizer {
 public:
  explicit CharacterTokenizer(std::vector<std::string> symbols) : table_(std::move(symbols)) {}

  TokenizerKind kind() const override { return TokenizerKind::character; }
  std::int64_t size() const override { return table_.size(); }
  TokenIds encode(std::string_view text, const std::string& source) const override {
    check_utf8(text, source);
    TokenIds ids;
    ids.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t length = utf8_length(text.substr(i, 4));
      ids.push_back(table_.id(text.substr(i, length), 0));
      i += length;
    }
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) text += id == 0 ? "\xEF\xBF\xBD" : table_.symbol(id);  // U+FFFD
    return text;
  }
  std::string symbol(std::int32_t id) const override { return table_.symbol(id); }
  std::int32_t unknown() const override { return 0; }
  std::int32_t line_end() const override { return table_.id("\n", -1); }
  Json to_json() const override { return {{"tokenizer", enum_name(kind())}, {"symbols", table_.symbols()}}; }

 private:
  SymbolTable table_;
};

std::unique_ptr<Tokenizer> character_tokenizer(const TokenizerOptions& options, std::string_view text,
                                               const std::string& source) {
  check_utf8(text, source);
  SymbolCounts counts;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i, 4));
    ++counts[text.substr(i, length)];
    i += length;
  }
  std::vector<std::string> symbols = frequent_symbols(counts, options, source);
  std::sort(symbols.begin(), symbols.end());  // UTF-8 sorts as its code points do
  symbols.insert(symbols.begin(), kUnknown);
  return std::make_unique<CharacterTokenizer>(std::move(symbols));
}

}  // namespace

std::vector<TokenIds> Tokenizer::encode_all(std::span<const std::string> texts, const std::string& source) const {
  std::vector<TokenIds> encoded;
  encoded.reserve(texts.size());
  for (const auto& text : texts)
    encoded.push_back(encode(text, fmt::format("{}: text {}", source, encoded.size() + 1)));
  return encoded;
}

SymbolTable::SymbolTable(std::vector<std::string> symbols) : symbols_(std::move(symbols)) {
  ids_.reserve(symbols_.size());
  for (std::size_t i = 0; i < symbols_.size(); ++i) ids_.emplace(symbols_[i], static_cast<std::int32_t>(i));
}

std::int32_t SymbolTable::id(std::string_view symbol, std::int32_t otherwise) const {
  const auto found = ids_.find(symbol);
  return found == ids_.end() ? otherwise : found->second;
}

const std::string& SymbolTable::symbol(std::int32_t id) const {
  check_token(id, size());
  return symbols_[static_cast<std::size_t>(id)];
}

void check_token(std::int32_t id, std::int64_t size) {
  if (id < 0 || id >= size) user_error("a token must be from 0 to {}, not {}", size - 1, id);
}

std::vector<std::string> frequent_symbols(const SymbolCounts& counts, const TokenizerOptions& options,
                                          const std::string& source) {
  std::vector<std::pair<std::int64_t, std::string_view>> kept;
  for (const auto& [symbol, count] : counts)
    if (count >= options.minimum_count) kept.emplace_back(-count, symbol);
  std::sort(kept.begin(), kept.end());
  std::size_t most = std::numeric_limits<std::int32_t>::max() - 2;
  if (options.largest_vocabulary > 0) most = std::min(most, static_cast<std::size_t>(options.largest_vocabulary));
  if (kept.size() > most) kept.resize(most);
  if (kept.empty())
    user_error("{}: the training text has nothing for a vocabulary (minimum-count is {})", source,
               options.minimum_count);
  std::vector<std::string> symbols;
  symbols.reserve(kept.size() + 2);
  for (const auto& entry : kept) symbols.emplace_back(entry.second);
  return symbols;
}

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerOptions& options, std::string_view text,
                                          const std::string& source) {
  check_options(options);
  if (options.kind == TokenizerKind::sentencepiece && options.model.empty())
    user_error("--tokenizer sentencepiece needs the file of a model (--tokenizer-model)");
  if (options.kind != TokenizerKind::sentencepiece && !options.model.empty())
    user_error("--tokenizer-model is for --tokenizer sentencepiece, not {}", enum_name(options.kind));
  const bool counts = options.kind == TokenizerKind::word || options.kind == TokenizerKind::character;
  if (!counts && (options.minimum_count != 1 || options.largest_vocabulary != 0))
    user_error("--minimum-count and --largest-vocabulary are for --tokenizer word and character, not {}",
               enum_name(options.kind));
  switch (options.kind) {
    case TokenizerKind::byte:
      return std::make_unique<ByteTokenizer>();
    case TokenizerKind::text8:
      return std::make_unique<Text8Tokenizer>();
    case TokenizerKind::character:
      return character_tokenizer(options, text, source);
    case TokenizerKind::word:
      return word_tokenizer(options, text, source);
    case TokenizerKind::sentencepiece:
      return sentencepiece_tokenizer(read_file(options.model), options.model);
  }
  throw std::logic_error("no such tokenizer");
}

std::unique_ptr<Tokenizer> tokenizer_from_json(const Json& document, const std::string& source) {
  JsonObject object(document, source);
  const auto kind = object.choice<TokenizerKind>("tokenizer");
  const bool has_symbols = kind == TokenizerKind::character || kind == TokenizerKind::word;
  std::vector<std::string> symbols;
  if (has_symbols) {
    symbols = object.texts("symbols");
    std::vector<std::string> sorted = symbols;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) user_error("{} has {} twice", object.where("symbols"), quoted_for_message(*twice));
  }
  std::string model;
  if (kind == TokenizerKind::sentencepiece) model = from_base64(object.text("model"), object.where("model"));
  object.finish();
  switch (kind) {
    case TokenizerKind::byte:
      return std::make_unique<ByteTokenizer>();
    case TokenizerKind::text8:
      return std::make_unique<Text8Tokenizer>();
    case TokenizerKind::character:
      for (std::size_t i = 0; i < symbols.size(); ++i)
        if (i == 0 ? symbols[0] != kUnknown : symbols[i].empty() || utf8_length(symbols[i]) != symbols[i].size())
          user_error("{}[{}] must be {}, not {}", object.where("symbols"), i, i == 0 ? kUnknown : "one character",
                     quoted_for_message(symbols[i]));
      if (symbols.size() < 2) user_error("{} has no characters", object.where("symbols"));
      return std::make_unique<CharacterTokenizer>(std::move(symbols));
    case TokenizerKind::word:
      return word_tokenizer(std::move(symbols), source);
    case TokenizerKind::sentencepiece:
      return sentencepiece_tokenizer(std::move(model), source);
  }
  throw std::logic_error("no such tokenizer");
}

}  // namespace clearway::train
