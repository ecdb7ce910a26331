#include "clearway/train/corpus.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/file.hpp"
#include "text_checks.hpp"

namespace clearway::train {

namespace {

bool reads_lines(TokenizerKind kind) {
  return kind == TokenizerKind::word || kind == TokenizerKind::sentencepiece;
}

TextPart read_part(const std::string& path) {
  return path.empty() ? TextPart{} : TextPart{read_file(path), path == "-" ? "standard input" : path};
}

/// The first place from `at` on where a text may be cut.
std::size_t cut_from(std::string_view text, std::size_t at, TokenizerKind kind) {
  if (at == 0 || at >= text.size()) return std::min(at, text.size());
  if (kind == TokenizerKind::character)
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
  if (reads_lines(kind)) {
    const char between = text.find('\n') != std::string_view::npos ? '\n' : ' ';  // text8 read as words has one line
    at = std::min(text.find(between, at - 1), text.size() - 1) + 1;
  }
  return at;
}

}  // namespace

CorpusText read_corpus(const CorpusOptions& options, TokenizerKind kind) {
  check_options(options);
  if (options.train.empty()) user_error("--data is missing: a text file to train on");
  CorpusText corpus{read_part(options.train), read_part(options.valid), read_part(options.test)};
  if (options.valid.empty() && options.test.empty()) {
    const double rest = 1 - options.valid_share - options.test_share;
    if (!(rest > 0))
      user_error("valid-share and test-share must leave something to train on: their sum must be below 1");
    const std::string& text = corpus.train.text;
    // 1 - 0.05 - 0.05 is a little less than 0.9: a cut at a whole byte must not move to the byte before.
    const auto cut_at = [&](double share) {
      return cut_from(text, static_cast<std::size_t>(std::floor(share * static_cast<double>(text.size()) + 1e-6)),
                      kind);
    };
    const std::size_t train_end = cut_at(rest);
    const std::size_t valid_end = std::max(train_end, cut_at(1 - options.test_share));
    corpus.valid = {text.substr(train_end, valid_end - train_end), corpus.train.source + " (valid)"};
    corpus.test = {text.substr(valid_end), corpus.train.source + " (test)"};
    corpus.train.text.resize(train_end);
  }
  if (corpus.train.text.empty()) user_error("{}: there is no text to train on", corpus.train.source);
  return corpus;
}

EncodedText encode_text(const TextPart& part, const Tokenizer& tokenizer) {
  EncodedText encoded;
  encoded.source = part.source;
  encoded.bytes = static_cast<std::int64_t>(part.text.size());
  encoded.tokens = tokenizer.encode(part.text, part.source);
  for_each_word(part.text, [&](std::string_view) { ++encoded.words; });
  if (!part.text.empty() && part.text.back() != '\n') {  // the last line is one, too
    ++encoded.words;
    if (reads_lines(tokenizer.kind()) && tokenizer.line_end() >= 0) encoded.tokens.push_back(tokenizer.line_end());
  }
  if (tokenizer.unknown() >= 0)
    encoded.unknown = std::count(encoded.tokens.begin(), encoded.tokens.end(), tokenizer.unknown());
  return encoded;
}

void TextScore::add(double more_nats, std::int64_t more_scored) {
  nats += more_nats;
  scored += more_scored;
}
double TextScore::nats_per_token() const {
  return nats / static_cast<double>(scored);
}
double TextScore::bits_per_token() const {
  return nats_per_token() / std::log(2.0);
}
double TextScore::perplexity() const {
  return std::exp(nats_per_token());
}
double TextScore::word_perplexity(const EncodedText& text) const {
  return std::exp(nats / static_cast<double>(text.words));
}
double TextScore::bits_per_byte(const EncodedText& text) const {
  return nats / static_cast<double>(text.bytes) / std::log(2.0);
}

}  // namespace clearway::train
