// Text cut into parts and batches: published splits, coverage of every token, batches as functions of the step.
#include "clearway/train/corpus.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "clearway/io/file.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

/// The tokens 0, 1, ..., so that a token is its own place.
TokenIds places(std::size_t count) {
  TokenIds tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

TEST(Corpus, SharesCutTheTextContiguously) {
  const TemporaryFolder folder;
  std::string text(1000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i % 251);
  write_file(folder / "a", text);
  CorpusOptions options{.train = folder / "a", .valid = {}, .test = {}};
  const CorpusText corpus = read_corpus(options, TokenizerKind::byte);
  EXPECT_EQ(corpus.train.text.size(), 900u);  // 90/5/5, and not 899: 1 - 0.05 - 0.05 is below 0.9 in doubles
  EXPECT_EQ(corpus.valid.text.size(), 50u);
  EXPECT_EQ(corpus.test.text.size(), 50u);
  EXPECT_EQ(corpus.train.text + corpus.valid.text + corpus.test.text, text);

  options.valid_share = 0;
  options.test_share = 0;
  const CorpusText whole = read_corpus(options, TokenizerKind::byte);
  EXPECT_EQ(whole.train.text, text);
  EXPECT_EQ(whole.valid.text + whole.test.text, "");
  options.valid = folder / "a";
  options.valid_share = 0.5;
  EXPECT_EQ(read_corpus(options, TokenizerKind::byte).train.text, text);  // separate files are not cut
}

RC_GTEST_PROP(Corpus, CutsKeepCharactersAndLinesWhole, ()) {
  const std::vector<std::string> pool{"a", "\xC3\xBC", "\xE2\x82\xAC", "\n", " "};
  std::string text = "a";
  for (const auto draw : *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, pool.size())))
    text += pool[draw];
  const TemporaryFolder folder;
  write_file(folder / "a", text);
  CorpusOptions options{.train = folder / "a", .valid = {}, .test = {}};
  options.valid_share = 0.2;
  options.test_share = 0.2;
  const bool has_lines = text.find('\n') != std::string::npos;
  for (const auto kind : {TokenizerKind::character, TokenizerKind::word}) {
    CorpusText corpus;
    try {
      corpus = read_corpus(options, kind);
    } catch (const std::invalid_argument&) {
      RC_ASSERT(text.size() < 2u);  // too short for a share of 0.6
      return;
    }
    RC_ASSERT(corpus.train.text + corpus.valid.text + corpus.test.text == text);
    RC_ASSERT(corpus.train.text.size() >= static_cast<std::size_t>(0.6 * static_cast<double>(text.size())));
    for (const auto* rest : {&corpus.valid.text, &corpus.test.text}) {
      if (rest->empty()) continue;
      RC_ASSERT((static_cast<unsigned char>(rest->front()) & 0xC0U) != 0x80U);
      const char before = text[static_cast<std::size_t>(text.size() - corpus.test.text.size() -
                                                        (rest == &corpus.valid.text ? corpus.valid.text.size() : 0)) -
                               1];
      if (kind == TokenizerKind::word) RC_ASSERT(before == (has_lines ? '\n' : ' '));
    }
  }
}

TEST(Corpus, PublishedSplits) {
  const std::string path = CLEARWAY_SHARED "/data/tinyshakespeare/input.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  // 1,115,394 characters, 65 symbols; the usual split is 1,003,854 and 111,540 (Karpathy, char-rnn and nanoGPT).
  CorpusOptions options{.train = path, .valid = {}, .test = {}};
  options.valid_share = 0.1;
  options.test_share = 0;
  const CorpusText corpus = read_corpus(options, TokenizerKind::character);
  EXPECT_EQ(corpus.train.text.size(), 1003854u);
  EXPECT_EQ(corpus.valid.text.size(), 111540u);
  const auto characters = make_tokenizer({.kind = TokenizerKind::character, .model = {}}, corpus.train.text, path);
  EXPECT_EQ(characters->size(), 65 + 1);
  EXPECT_EQ(encode_text(corpus.valid, *characters).unknown, 0);
}

TEST(Corpus, WordsAndLinesAreCounted) {
  const auto words = make_tokenizer({.kind = TokenizerKind::word, .model = {}}, "a b\n", "x");
  const EncodedText text = encode_text({"a b\n\n c  a", "x"}, *words);
  EXPECT_EQ(text.words, 4 + 3);  // a b c a and the ends of three lines, the last one without a line feed
  EXPECT_EQ(text.tokens.size(), 7u);
  EXPECT_EQ(text.unknown, 1);
  EXPECT_EQ(text.bytes, 10);
  const auto bytes = make_tokenizer({}, "", "x");
  EXPECT_EQ(encode_text({"a b\n\n c  a", "x"}, *bytes).words, 7);
  EXPECT_EQ(encode_text({"a b\n\n c  a", "x"}, *bytes).tokens.size(), 10u);
  EXPECT_EQ(encode_text({"", "x"}, *words).tokens.size(), 0u);
}

RC_GTEST_PROP(Batches, EvaluationScoresEveryTokenOnceWithEnoughContext, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(0, 80);
  const auto rows = *rc::gen::inRange<std::int64_t>(1, 5);
  const auto length = *rc::gen::inRange<std::int64_t>(1, 12);
  const auto stride = *rc::gen::inRange<std::int64_t>(1, length + 1);
  const TokenIds tokens = places(count);
  std::vector<int> scored(count, 0);
  const std::int64_t batches = evaluation_batches(count, rows, length, stride);
  for (std::int64_t b = 0; b < batches; ++b) {
    const TokenBatch batch = evaluation_batch(tokens, rows, length, stride, b);
    RC_ASSERT(batch.rows >= 1);
    RC_ASSERT(batch.rows == rows || b == batches - 1);
    for (std::int64_t i = 0; i < batch.rows * length; ++i) {
      const auto target = batch.targets[static_cast<std::size_t>(i)];
      if (target == kNotScored) continue;
      ++scored[static_cast<std::size_t>(target)];
      const std::int64_t at = i % length;  // the row up to here is the text just before the target
      for (std::int64_t back = 0; back <= at; ++back)
        RC_ASSERT(batch.tokens[static_cast<std::size_t>(i - back)] == target - 1 - back);
      RC_ASSERT(at >= std::min(length - stride, target - 1));
    }
  }
  for (std::size_t i = 0; i < count; ++i) RC_ASSERT(scored[i] == (i == 0 ? 0 : 1));
}

RC_GTEST_PROP(Batches, TrainingRowsArePiecesOfTheText, ()) {
  const auto rows = *rc::gen::inRange<std::int64_t>(1, 5);
  const auto length = *rc::gen::inRange<std::int64_t>(1, 8);
  const auto count = *rc::gen::inRange<std::size_t>(static_cast<std::size_t>(rows * (length + 1)), 100);
  const auto step = *rc::gen::inRange<std::int64_t>(0, 1000000);
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const TokenIds tokens = places(count);
  for (const auto sampling : {Sampling::windows, Sampling::streams}) {
    const TokenBatch batch = training_batch(tokens, sampling, rows, length, seed, step);
    RC_ASSERT(batch.tokens.size() == static_cast<std::size_t>(rows * length));
    for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
      RC_ASSERT(batch.targets[i] == batch.tokens[i] + 1);
      RC_ASSERT(batch.targets[i] < static_cast<std::int64_t>(count));
      if (static_cast<std::int64_t>(i) % length != 0) RC_ASSERT(batch.tokens[i] == batch.targets[i - 1]);
    }
    const TokenBatch same = training_batch(tokens, sampling, rows, length, seed, step);
    RC_ASSERT(same.tokens == batch.tokens);
  }
}

TEST(Batches, StreamsReadEveryBlockOfAnEpochOnceAndInOrder) {
  const TokenIds tokens = places(103);
  const std::int64_t rows = 4, length = 5;  // 25 per row: 4 blocks of 5 and the next token
  const std::int64_t steps = steps_per_epoch(tokens.size(), rows, length);
  EXPECT_EQ(steps, 4);
  for (std::int64_t step = 0; step < 2 * steps; ++step) {
    const TokenBatch batch = training_batch(tokens, Sampling::streams, rows, length, 1, step);
    for (std::int64_t row = 0; row < rows; ++row)
      EXPECT_EQ(batch.tokens[static_cast<std::size_t>(row * length)], row * 25 + step % 4 * 5);
  }
}

TEST(Batches, WindowsReachBothEndsAndDifferBetweenSteps) {
  const TokenIds tokens = places(10);
  std::set<std::int64_t> starts;
  for (std::int64_t step = 0; step < 500; ++step)
    starts.insert(training_batch(tokens, Sampling::windows, 1, 3, 7, step).tokens[0]);
  // 7 places, each missed by 500 draws with probability (6/7)^500 < 1e-33.
  EXPECT_EQ(starts, (std::set<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  const TokenIds long_text = places(1000000);
  EXPECT_NE(training_batch(long_text, Sampling::windows, 4, 3, 7, 0).tokens,
            training_batch(long_text, Sampling::windows, 4, 3, 7, 1).tokens);
  EXPECT_NE(training_batch(long_text, Sampling::windows, 4, 3, 7, 0).tokens,
            training_batch(long_text, Sampling::windows, 4, 3, 8, 0).tokens);
}

TEST(TextScore, AUniformGuessHasItsClosedForm) {
  // -log p = log 27 for every token: 4.75 bits, perplexity 27.
  TextScore score;
  score.add(60 * std::log(27.0), 60);
  score.add(40 * std::log(27.0), 40);
  EXPECT_DOUBLE_EQ(score.perplexity(), 27.0);
  EXPECT_DOUBLE_EQ(score.bits_per_token(), std::log2(27.0));
  EncodedText text;
  text.words = 20;                                                    // 5 tokens per word
  text.bytes = 200;                                                   // half a token per byte
  EXPECT_NEAR(score.word_perplexity(text), std::pow(27.0, 5), 1e-6);  // 1.4e7, relative error of exp 1e-15 x 16
  EXPECT_DOUBLE_EQ(score.bits_per_byte(text), std::log2(27.0) / 2);
}

TEST(Corpus, EveryRefusalIsNamed) {
  const TemporaryFolder folder;
  write_file(folder / "empty", "");
  write_file(folder / "a", "some text\n");
  CorpusOptions options;
  const auto error = [&] { return message_of([&] { (void)read_corpus(options, TokenizerKind::word); }); };
  EXPECT_EQ(error(), "--data is missing: a text file to train on");
  options.train = folder / "empty";
  EXPECT_EQ(error(), folder / "empty" + ": there is no text to train on");
  options.train = folder / "none";
  EXPECT_EQ(error(), folder / "none" + ": there is no such file");
  options.train = folder / "a";
  options.valid_share = 0.5;
  options.test_share = 0.5;
  EXPECT_EQ(error(), "valid-share and test-share must leave something to train on: their sum must be below 1");
  options.valid_share = -1;
  EXPECT_EQ(error(), "valid-share must be at least 0, not -1");
  const TokenIds tokens = places(10);
  EXPECT_EQ(message_of([&] { (void)training_batch(tokens, Sampling::windows, 1, 10, 1, 0); }),
            "the training text has 10 tokens, too few for 10 tokens and the next");
  EXPECT_EQ(message_of([&] { (void)training_batch(tokens, Sampling::streams, 3, 3, 1, 0); }),
            "the training text has 10 tokens, too few for 3 tokens and the next in each of 3 streams");
  EXPECT_EQ(message_of([&] { (void)training_batch(tokens, Sampling::windows, 0, 3, 1, 0); }),
            "a batch must have at least 1 row, not 0");
  EXPECT_EQ(message_of([&] { (void)evaluation_batches(10, 1, 4, 5); }), "the stride must be from 1 to 4, not 5");
}

}  // namespace
}  // namespace clearway::train
