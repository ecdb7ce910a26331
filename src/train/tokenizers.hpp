// The tokenizers of tokenizer.hpp, for the one place that chooses between them.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "clearway/train/tokenizer.hpp"

namespace clearway::train {

/// Symbols and their ids.
class SymbolTable {
 public:
  /// Symbols must differ.
  explicit SymbolTable(std::vector<std::string> symbols);
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  std::int64_t size() const { return static_cast<std::int64_t>(symbols_.size()); }
  /// The id of a symbol, or `otherwise`.
  std::int32_t id(std::string_view symbol, std::int32_t otherwise) const;
  /// Throws std::invalid_argument for an id outside of the vocabulary.
  const std::string& symbol(std::int32_t id) const;
  const std::vector<std::string>& symbols() const { return symbols_; }

 private:
  std::vector<std::string> symbols_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
};

/// Throws std::invalid_argument for an id outside of 0 .. size - 1.
void check_token(std::int32_t id, std::int64_t size);

/// Counts of symbols, and what to keep of them: the most frequent, ties by bytes; at most 2^31 - 3.
using SymbolCounts = std::unordered_map<std::string_view, std::int64_t>;
std::vector<std::string> frequent_symbols(const SymbolCounts& counts, const TokenizerOptions& options,
                                          const std::string& source);

std::unique_ptr<Tokenizer> word_tokenizer(const TokenizerOptions& options, std::string_view text,
                                          const std::string& source);
std::unique_ptr<Tokenizer> word_tokenizer(std::vector<std::string> symbols, const std::string& source);

/// From the bytes of a model.
std::unique_ptr<Tokenizer> sentencepiece_tokenizer(std::string model, const std::string& source);

}  // namespace clearway::train
