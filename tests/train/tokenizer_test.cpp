// Tokenizers: round trips, the conventions of WikiText and text8, vocabularies in JSON, and every refusal.
#include "clearway/train/tokenizer.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "clearway/io/file.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

std::unique_ptr<Tokenizer> make(TokenizerKind kind, const std::string& text, TokenizerOptions options = {}) {
  options.kind = kind;
  return make_tokenizer(options, text, "a.txt");
}

/// Saved and made again.
std::unique_ptr<Tokenizer> again(const Tokenizer& tokenizer) {
  return tokenizer_from_json(parse_json(json_text(tokenizer.to_json()), "v"), "v");
}

RC_GTEST_PROP(Tokenizer, BytesComeBackEqual, (const std::string& text)) {
  const auto bytes = make(TokenizerKind::byte, "");
  const TokenIds ids = bytes->encode(text, "a");
  RC_ASSERT(ids.size() == text.size());
  RC_ASSERT(bytes->decode(ids) == text);
  RC_ASSERT(again(*bytes)->encode(text, "a") == ids);
}

RC_GTEST_PROP(Tokenizer, CharactersComeBackEqual, ()) {
  const std::vector<std::string> pool{"a", "z", "\n", " ", "\"", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x90\x80", "\t"};
  const auto draws =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, pool.size())));
  std::string text;
  for (const auto draw : draws) text += pool[draw];
  const auto characters = make(TokenizerKind::character, text);
  const TokenIds ids = characters->encode(text, "a");
  RC_ASSERT(ids.size() == draws.size());
  RC_ASSERT(characters->decode(ids) == text);
  RC_ASSERT(std::count(ids.begin(), ids.end(), characters->unknown()) == 0);
  RC_ASSERT(again(*characters)->encode(text, "a") == ids);
  for (const auto id : ids) RC_ASSERT(characters->symbol(id).size() <= 4u);
}

RC_GTEST_PROP(Tokenizer, WordsComeBackWithSingleSpaces, ()) {
  const std::vector<std::string> pool{"the",
                                      "cat",
                                      "\xC3\xBC"
                                      "ber",
                                      " ",
                                      "  ",
                                      "\t",
                                      "\n",
                                      "\r\n",
                                      "<unk>",
                                      ","};
  const auto draws = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, pool.size()));
  std::string text = "the start\n";
  for (const auto draw : draws) text += pool[draw];
  text += "\n";
  const auto words = make(TokenizerKind::word, text);
  std::string expected;  // line by line, as `line.split()` would have it
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); expected += '\n', ++count) {
    std::istringstream in(line);
    bool first = true;
    for (std::string word; in >> word; first = false, ++count) expected += (first ? "" : " ") + word;
  }
  const TokenIds ids = words->encode(text, "a");
  RC_ASSERT(ids.size() == count);
  RC_ASSERT(words->decode(ids) == expected);
  RC_ASSERT(again(*words)->encode(text, "a") == ids);
}

TEST(Tokenizer, IdsAreAsDocumented) {
  const auto text8 = make(TokenizerKind::text8, "");
  EXPECT_EQ(text8->size(), 27);
  EXPECT_EQ(text8->encode("a z", "a"), (TokenIds{1, 0, 26}));
  EXPECT_EQ(text8->decode(TokenIds{1, 0, 26}), "a z");
  EXPECT_EQ(again(*text8)->kind(), TokenizerKind::text8);

  const auto characters = make(TokenizerKind::character,
                               "\xE2\x82\xAC"
                               "ba\xC3\xBC"
                               "b");
  EXPECT_EQ(characters->size(), 5);  // <unk>, a, b, u umlaut, euro: by code point
  EXPECT_EQ(characters->encode("ab\xC3\xBC\xE2\x82\xAC"
                               "c",
                               "a"),
            (TokenIds{1, 2, 3, 4, 0}));
  EXPECT_EQ(characters->decode(TokenIds{1, 0}), "a\xEF\xBF\xBD");
  EXPECT_EQ(characters->symbol(0), "<unk>");
  EXPECT_EQ(characters->line_end(), -1);

  const auto words = make(TokenizerKind::word, "b a b\nc a b\n");
  EXPECT_EQ(words->size(), 5);  // <unk>, <eos>, then b three times, a twice, c once
  EXPECT_EQ(words->encode("a b c\nx", "a"), (TokenIds{3, 2, 4, 1, 0}));
  EXPECT_EQ(words->symbol(1), "<eos>");
  EXPECT_EQ(make(TokenizerKind::byte, "")->symbol(10), "\n");
}

TEST(Tokenizer, RareSymbolsBecomeUnknown) {
  const std::string text = "b a b c a b d\n";
  TokenizerOptions options;
  options.minimum_count = 2;
  EXPECT_EQ(make(TokenizerKind::word, text, options)->encode("a b c", "a"), (TokenIds{3, 2, 0}));
  options = {};
  options.largest_vocabulary = 1;
  EXPECT_EQ(make(TokenizerKind::word, text, options)->encode("a b c", "a"), (TokenIds{0, 2, 0}));
  options.minimum_count = 9;
  EXPECT_EQ(message_of([&] { make(TokenizerKind::word, text, options); }),
            "a.txt: the training text has nothing for a vocabulary (minimum-count is 9)");
}

TEST(Tokenizer, WikiTextHasItsPublishedCounts) {
  const std::string folder = CLEARWAY_SHARED "/data/wikitext-2/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  // Tokens with one <eos> per line, and types, as Merity et al. 2016 and the data's own vocabulary have them.
  const auto words = make(TokenizerKind::word, read_file(folder + "train.txt"));
  EXPECT_EQ(words->size(), 33278);
  for (const auto& [part, tokens] :
       std::vector<std::pair<std::string, std::size_t>>{{"train", 2088628}, {"valid", 217646}, {"test", 245569}})
    EXPECT_EQ(words->encode(read_file(folder + part + ".txt"), part).size(), tokens);
  std::istringstream vocabulary(read_file(folder + "vocab.txt"));
  for (std::string word; std::getline(vocabulary, word);)
    EXPECT_EQ(words->symbol(word == "<eos>" ? words->line_end() : words->encode(word, "vocab.txt").at(0)), word);
}

TEST(Tokenizer, EveryRefusalIsNamed) {
  const auto error = [](TokenizerKind kind, const std::string& text) {
    return message_of([&] { (void)make(kind, "abc def\n")->encode(text, "b.txt"); });
  };
  const std::string utf8 =
      "b.txt: line 2 is not UTF-8 text (byte 3 of the text); convert it, for example with iconv -f latin1 -t utf-8, or "
      "read bytes";
  EXPECT_EQ(error(TokenizerKind::word, "a\n\xFC"), utf8);
  EXPECT_EQ(error(TokenizerKind::character, "a\n\xE2\x82"), utf8);
  EXPECT_EQ(error(TokenizerKind::byte, "a\n\xFC"), "no exception");
  EXPECT_EQ(error(TokenizerKind::text8, "ab\n"),
            "b.txt: line 1: text8 has spaces and the letters a to z only, not '\\x0a' (byte 3 of the text)");
  EXPECT_EQ(error(TokenizerKind::text8, "aB"),
            "b.txt: line 1: text8 has spaces and the letters a to z only, not 'B' (byte 2 of the text)");
  EXPECT_EQ(message_of([] { make(TokenizerKind::word, "\xFC"); }).substr(0, 31), "a.txt: line 1 is not UTF-8 text");
  EXPECT_EQ(message_of([] { make(TokenizerKind::character, ""); }),
            "a.txt: the training text has nothing for a vocabulary (minimum-count is 1)");
  for (const auto kind : {TokenizerKind::byte, TokenizerKind::text8, TokenizerKind::character, TokenizerKind::word})
    for (const std::int32_t id : {-1, 256}) {
      const auto tokenizer = make(kind, "abc");
      EXPECT_EQ(message_of([&] { (void)tokenizer->decode(TokenIds{id}); }),
                fmt::format("a token must be from 0 to {}, not {}", tokenizer->size() - 1, id));
    }
  TokenizerOptions options;
  options.model = "m";
  EXPECT_EQ(message_of([&] { make(TokenizerKind::byte, "", options); }),
            "--tokenizer-model is for --tokenizer sentencepiece, not byte");
  options = {};
  options.minimum_count = 2;
  EXPECT_EQ(message_of([&] { make(TokenizerKind::text8, "", options); }),
            "--minimum-count and --largest-vocabulary are for --tokenizer word and character, not text8");
  EXPECT_EQ(message_of([&] { make(TokenizerKind::sentencepiece, ""); }),
            "--tokenizer sentencepiece needs the file of a model (--tokenizer-model)");

  const auto json_error = [](const std::string& text) {
    return message_of([&] { (void)tokenizer_from_json(parse_json(text, "v"), "v"); });
  };
  EXPECT_EQ(
      json_error(R"({"tokenizer":"bite"})"),
      "v: tokenizer must be one of byte, text8, character, word, sentencepiece, not 'bite' (did you mean 'byte'?)");
  EXPECT_EQ(json_error(R"({"tokenizer":"word","symbols":["<unk>","<eos>","a","a"]})"), "v: symbols has 'a' twice");
  EXPECT_EQ(json_error(R"({"tokenizer":"word","symbols":["a","b","c"]})"),
            "v: symbols must begin with <unk> and <eos>, and have words");
  EXPECT_EQ(json_error(R"({"tokenizer":"word","symbols":["<unk>","<eos>","a b"]})"), "v: symbols: 'a b' is not a word");
  EXPECT_EQ(json_error(R"({"tokenizer":"character","symbols":["<unk>","ab"]})"),
            "v: symbols[1] must be one character, not 'ab'");
  EXPECT_EQ(json_error(R"({"tokenizer":"character","symbols":["a","b"]})"), "v: symbols[0] must be <unk>, not 'a'");
  EXPECT_EQ(json_error(R"({"tokenizer":"byte","symbols":[]})").find("v: there is no"), 0u);
}

TEST(SentencePiece, EncodesLineByLine) {
  const TemporaryFolder folder;
  TokenizerOptions options;
  options.kind = TokenizerKind::sentencepiece;
  options.model = folder / "m.model";
  write_file(options.model, "no model");
  const std::string refusal = message_of([&] { (void)make_tokenizer(options, "", ""); });
  if (!has_sentencepiece()) {
    EXPECT_EQ(refusal,
              options.model +
                  ": SentencePiece's programs spm_encode, spm_decode and spm_export_vocab are not on the PATH; "
                  "install them (Debian: apt-get install sentencepiece), or use --tokenizer byte, character or "
                  "word");
    GTEST_SKIP() << "no programs of SentencePiece (Debian: sentencepiece)";
  }
  EXPECT_EQ(refusal, options.model + ": is not a SentencePiece model (spm_export_vocab refuses it)");
  const auto run = [&](const std::string& command) {
    return std::system(("cd " + folder.path() + " && " + command + " 2>/dev/null").c_str());
  };
  std::string text;
  for (int i = 0; i < 200; ++i) text += fmt::format("the cat number {} sat on the mat and the dog {} ran\n", i, i * 7);
  text += "\n";
  write_file(folder / "text", text);
  ASSERT_EQ(run("spm_train --input=text --model_prefix=m --vocab_size=60 --hard_vocab_limit=false"), 0);
  ASSERT_EQ(run("spm_encode --model=m.model --output_format=id --extra_options=eos <text >ids"), 0);
  const auto pieces = make_tokenizer(options, "", "");
  std::istringstream in(read_file(folder / "ids"));
  TokenIds expected;
  for (std::int32_t id = 0; in >> id;) expected.push_back(id);
  const TokenIds ids = pieces->encode(text, "text");
  EXPECT_EQ(ids, expected);
  EXPECT_EQ(pieces->decode(ids), text);
  EXPECT_EQ(again(*pieces)->encode(text, "text"), ids);
  EXPECT_EQ(pieces->symbol(pieces->line_end()), "</s>");
  EXPECT_EQ(pieces->symbol(pieces->unknown()), "<unk>");
  const std::vector<std::string> texts{"the cat", "", "sat\non", "the mat\n", "\n"};
  const auto encoded = pieces->encode_all(texts, "texts");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(encoded[i], pieces->encode(texts[i], "text"));
    EXPECT_EQ(pieces->decode(encoded[i]), texts[i]);
  }
  EXPECT_EQ(message_of([&] { (void)pieces->encode("\xFC", "text"); }).substr(0, 30), "text: line 1 is not UTF-8 text");
}

}  // namespace
}  // namespace clearway::train
