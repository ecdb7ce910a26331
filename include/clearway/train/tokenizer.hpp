// Text to numbers and back: bytes, characters, words, or a SentencePiece model. No torch in this header.
//
//   byte           256 symbols, nothing is unknown (enwik8)
//   text8          27 symbols: space and a..z; anything else is an error (Mahoney's text8)
//   character      the code points of the training text, by number; <unk> is 0
//   word           what white space separates, a line's end is <eos>: <unk> is 0, <eos> is 1, then by decreasing count
//                  (the conventions of Penn Treebank and WikiText: `line.split() + ['<eos>']`)
//   sentencepiece  pieces of a trained model (Kudo and Richardson 2018), a line's end is the model's </s>
//
// White space is ASCII's; text must be UTF-8 except for `byte`. SentencePiece works through its own programs (spm_encode and
// its sisters), which must be on the PATH: libsentencepiece and libtorch carry different protocol buffers and crash in one
// process (tried with Debian 12's).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/io/json.hpp"

namespace clearway::train {

enum class TokenizerKind { byte, text8, character, word, sentencepiece };
inline std::span<const EnumName<TokenizerKind>> enum_names(TokenizerKind) {
  static constexpr std::array<EnumName<TokenizerKind>, 5> names{{
      {TokenizerKind::byte, "byte", "256 bytes; any file"},
      {TokenizerKind::text8, "text8", "space and a to z, as in text8"},
      {TokenizerKind::character, "character", "the characters of the training text (UTF-8)"},
      {TokenizerKind::word, "word", "words between white space, and <eos> at the end of a line"},
      {TokenizerKind::sentencepiece, "sentencepiece", "the pieces of a SentencePiece model"},
  }};
  return names;
}

struct TokenizerOptions {
  TokenizerKind kind = TokenizerKind::byte;
  std::int64_t minimum_count = 1;       ///< word, character: what is rarer in the training text is <unk>
  std::int64_t largest_vocabulary = 0;  ///< word, character: keep the most frequent; 0: all
  std::string model;                    ///< sentencepiece: file of the model

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("tokenizer", self.kind, OptionInfo{.help = "what one token of the text is"});
    field("minimum-count", self.minimum_count,
          OptionInfo{.help = "words and characters that the training text has less often become <unk>",
                     .minimum = 1,
                     .off = "1"});
    field("largest-vocabulary", self.largest_vocabulary,
          OptionInfo{.help = "keep only so many of the most frequent words or characters; 0 keeps all",
                     .minimum = 0,
                     .off = "0"});
    field("tokenizer-model", self.model,
          OptionInfo{.help = "file of a SentencePiece model (with --tokenizer sentencepiece)", .metavar = "FILE"});
  }
};

using TokenIds = std::vector<std::int32_t>;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual TokenizerKind kind() const = 0;
  /// Number of symbols; ids are 0 .. size() - 1.
  virtual std::int64_t size() const = 0;
  /// Throws std::invalid_argument that begins with `source` and gives the line, for bytes that are no text or no symbol
  /// of text8. encode(a + b) is encode(a) + encode(b) for byte, text8 and character, and for the others where a ends a line.
  virtual TokenIds encode(std::string_view text, const std::string& source) const = 0;
  /// encode() of every text, by one call of what does the work. `source` is followed by the number of the text.
  virtual std::vector<TokenIds> encode_all(std::span<const std::string> texts, const std::string& source) const;
  /// decode(encode(text)) is the text when nothing in it is unknown; for words, white space becomes single spaces.
  /// Throws std::invalid_argument for an id outside of the vocabulary.
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  /// What a table of tokens shows: "e", "\n", "<eos>". Throws like decode().
  virtual std::string symbol(std::int32_t id) const = 0;
  /// Id of <unk>, or -1.
  virtual std::int32_t unknown() const { return -1; }
  /// Id of what ends a line (<eos>, </s>, or the line feed itself), or -1.
  virtual std::int32_t line_end() const { return -1; }
  /// Everything needed to make it again, for vocabulary.json.
  virtual Json to_json() const = 0;
};

/// Makes a tokenizer; `text` is the training text, from which words and characters are counted. Throws
/// std::invalid_argument for an empty vocabulary, text that is not UTF-8, a model that cannot be read, and for
/// `sentencepiece` where its programs are missing.
std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerOptions& options, std::string_view text,
                                          const std::string& source);
/// The inverse of to_json(). Throws std::invalid_argument beginning with `source`.
std::unique_ptr<Tokenizer> tokenizer_from_json(const Json& document, const std::string& source);
/// Whether SentencePiece's programs are on the PATH.
bool has_sentencepiece();

}  // namespace clearway::train
