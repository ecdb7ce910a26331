// Text for language models: read, split into train, valid and test, encoded, and cut into batches. No torch here.
//
// Batches are pure functions of (seed, step), so that a resumed run sees what an uninterrupted one would have seen.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/train/tokenizer.hpp"

namespace clearway::train {

struct CorpusOptions {
  std::string train, valid, test;
  double valid_share = 0.05;
  double test_share = 0.05;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.train,
          OptionInfo{.help = "text file to train on; without the other two it is split by shares", .metavar = "FILE"});
    field("valid-data", self.valid, OptionInfo{.help = "text file that selects the best step", .metavar = "FILE"});
    field("test-data", self.test, OptionInfo{.help = "text file for the final measure", .metavar = "FILE"});
    field("valid-share", self.valid_share,
          OptionInfo{.help = "share of a single file, behind the training text, that selects the best step",
                     .minimum = 0,
                     .maximum = 0.5,
                     .source = "90/5/5 as for enwik8 and text8"});
    field("test-share", self.test_share,
          OptionInfo{.help = "share of a single file, its end, for the final measure", .minimum = 0, .maximum = 0.5});
  }
};

/// One part of a corpus before it is encoded. `source` is for messages.
struct TextPart {
  std::string text;
  std::string source;
};
struct CorpusText {
  TextPart train, valid, test;  ///< an empty text where there is no such part
};

/// Reads files. A single file is cut contiguously, train first; cuts are at bytes for byte and text8, at the start of a
/// character for `character`, else at the start of a line. When valid or test is given, nothing is cut. Throws
/// std::invalid_argument for a missing or empty training text and shares that leave nothing to train on.
CorpusText read_corpus(const CorpusOptions& options, TokenizerKind kind);

/// Encoded text and what is needed to measure it.
struct EncodedText {
  TokenIds tokens;
  std::string source;
  std::int64_t bytes = 0;
  std::int64_t words = 0;    ///< between white space, plus one per line, as word-level perplexity counts them
  std::int64_t unknown = 0;  ///< tokens that are <unk>
};
/// For words and sentencepiece, a last line without line feed is a line.
EncodedText encode_text(const TextPart& part, const Tokenizer& tokenizer);

enum class Sampling { windows, streams };
inline std::span<const EnumName<Sampling>> enum_names(Sampling) {
  static constexpr std::array<EnumName<Sampling>, 2> names{{
      {Sampling::windows, "windows", "windows at random places"},
      {Sampling::streams, "streams", "the text cut into as many streams as the batch has rows, read in order"},
  }};
  return names;
}

/// rows x length ids, row by row. targets[i] is the token behind tokens[i], or kNotScored.
struct TokenBatch {
  std::int64_t rows = 0;
  std::int64_t length = 0;
  std::vector<std::int64_t> tokens, targets;
};
inline constexpr std::int64_t kNotScored = -1;

/// The batch of a training step. windows: places drawn independently of each other from stream (seed, step). streams: row
/// r reads the r-th of `rows` equal parts of the text; after its last whole block, step starts again at the first.
/// Throws std::invalid_argument when the text is too short for one block.
TokenBatch training_batch(std::span<const std::int32_t> tokens, Sampling sampling, std::int64_t rows,
                          std::int64_t length, std::uint64_t seed, std::int64_t step);
/// Steps after which as many tokens have been seen as the text has (streams: exactly once each, but for a remainder).
std::int64_t steps_per_epoch(std::size_t tokens, std::int64_t rows, std::int64_t length);

/// Batches that score every token but the first exactly once, in order. Windows of `length` tokens start every `stride`
/// tokens (1 .. length) and score what no earlier one has, so that a scored token sees at least length - stride tokens,
/// but for the first window. stride = length: disjoint blocks, the usual quick measure.
std::int64_t evaluation_batches(std::size_t tokens, std::int64_t rows, std::int64_t length, std::int64_t stride);
TokenBatch evaluation_batch(std::span<const std::int32_t> tokens, std::int64_t rows, std::int64_t length,
                            std::int64_t stride, std::int64_t batch);

/// How well a text was predicted: the sum of -log p over `scored` tokens, in nats.
struct TextScore {
  double nats = 0;
  std::int64_t scored = 0;

  void add(double more_nats, std::int64_t more_scored);
  double nats_per_token() const;
  /// nats / scored / ln 2: bits per character for byte, text8 and character.
  double bits_per_token() const;
  /// exp(nats / scored); for words per token including <eos>.
  double perplexity() const;
  /// exp(nats / words): word-level perplexity for any tokenizer, comparable between them.
  double word_perplexity(const EncodedText& text) const;
  /// nats / bytes / ln 2, comparable between tokenizers.
  double bits_per_byte(const EncodedText& text) const;
};

}  // namespace clearway::train
