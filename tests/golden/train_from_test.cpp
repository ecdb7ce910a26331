// `clearway train --from`: a classifier that begins with a language model, and what cannot be begun with.
#include <gtest/gtest.h>

#include <cstring>

#include "clearway/io/safetensors.hpp"
#include "program.hpp"

namespace clearway::golden {
namespace {

const std::string kShape = "--size custom --layers 2 --width 8 --heads 2 --context 8 --experts 4 --threads 1 --quiet ";

/// Sentences of good and bad words, with and without their labels.
void write_texts(const Workplace& place) {
  std::string labelled, plain;
  for (int i = 0; i < 40; ++i) {
    const bool good = i % 2 == 0;
    const std::string text = std::string(good ? "a fine " : "a dull ") + (i % 3 == 0 ? "film" : "play");
    labelled += (good ? "1 " : "0 ") + text + "\n";
    plain += text + "\n";
  }
  place.write("labelled.txt", labelled);
  place.write("text.txt", plain);
}

std::vector<float> numbers(const Workplace& place, const std::string& run, const std::string& name) {
  const auto file = SafetensorsFile::open((place.folder() / run / "checkpoints/best/model.safetensors").string());
  const TensorBytes& entry = file.at(name);
  std::vector<float> out(entry.bytes.size() / sizeof(float));
  std::memcpy(out.data(), entry.bytes.data(), entry.bytes.size());
  return out;
}

// One step of 1e-9 moves no number further than that (AdamW divides by the root of the squared gradient), and no decay.
TEST(TrainFrom, BeginsWithTheWeightsAndTheVocabulary) {
  const Workplace place;
  write_texts(place);
  const Outcome before =
      place.run("train --data text.txt --tokenizer word --steps 30 --evaluate-every 30 " + kShape + "--out text");
  ASSERT_EQ(before.code, 0) << before.err;
  const std::string classify =
      "train --task classify --data labelled.txt --valid-data labelled.txt --threads 1 --quiet ";
  const Outcome begun =
      place.run(classify +
                "--from text --steps 1 --warmup 0 --learning-rate 1e-9 --weight-decay 0 --dropout 0.1 "
                "--balance 0 --out begun");
  ASSERT_EQ(begun.code, 0) << begun.err;
  for (const std::string name : {"embedding", "block1.attention_qkv", "block1.mixture.experts.w1"}) {
    const auto from = numbers(place, "text", name), to = numbers(place, "begun", "body." + name);
    ASSERT_EQ(from.size(), to.size()) << name;
    for (std::size_t i = 0; i < from.size(); ++i) EXPECT_NEAR(from[i], to[i], 2e-9) << name;
  }
  EXPECT_EQ(place.read("text/vocabulary.json"), place.read("begun/vocabulary.json"));
  EXPECT_NE(place.read("begun/config.json").find("\"dropout\": 0.1"), std::string::npos);

  const Outcome part =
      place.run(classify + "--from text --steps 20 --evaluate-every 20 --schedule constant --out part");
  ASSERT_EQ(part.code, 0) << part.err;
  // A run's config.json says all that there is to say: the same again. Nothing is drawn but from the seed.
  const Outcome again = place.run("train --config part/config.json --out again --quiet --threads 1");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(numbers(place, "part", "output_weight"), numbers(place, "again", "output_weight"));
  EXPECT_EQ(place.run("train --out part --resume --steps 25 --threads 1 --quiet").code, 0);
}

TEST(TrainFrom, SaysWhatDoesNotFit) {
  const Workplace place;
  write_texts(place);
  ASSERT_EQ(place.run("train --data text.txt --tokenizer word --steps 2 " + kShape + "--out text").code, 0);
  place.write("other.txt", "a fine opera\na dull opera\na fine opera\n");
  const Outcome other = place.run("train --data other.txt --valid-share 0 --test-share 0 --from text --steps 1");
  EXPECT_EQ(other.code, 0);
  EXPECT_NE(other.err.find("3 of 12 tokens to train on are unknown to the vocabulary of text"), std::string::npos)
      << other.err;
  ASSERT_EQ(
      place
          .run("train --task classify --data labelled.txt --valid-data labelled.txt --from text --steps 2 --quiet "
               "--out classifier")
          .code,
      0);
  const auto expect_refusal = [&](const std::string& more, const std::string& message) {
    const Outcome outcome = place.run("train --task classify --data labelled.txt --steps 2 " + more);
    EXPECT_EQ(outcome.code, 2) << more;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  };
  expect_refusal("--from classifier", "classifier: is a classifier; begin with the run of a language model");
  expect_refusal("--from text --size small", "--size cannot change with --from");
  expect_refusal("--from text --minimum-count 2", "--minimum-count cannot change with --from");
  expect_refusal("--from text --experts 8", "its weights do not fit the options given: 'block0.mixture.experts.b1'");
  expect_refusal("--from labelled.txt", "labelled.txt");
}

// Labelled texts are not cut by shares. What has no best step is measured at its last.
TEST(TrainClassifier, WithoutValidation) {
  const Workplace place;
  write_texts(place);
  const std::string line =
      "train --task classify --data labelled.txt --tokenizer word --steps 2 --evaluate-every 1 --size custom --width 8 "
      "--heads 2 --context 8 --threads 1 ";
  const Outcome cut = place.run(line + "--valid-share 0.2");
  EXPECT_EQ(cut.code, 2);
  EXPECT_NE(cut.err.find("--valid-share cuts a text; labelled texts are not cut"), std::string::npos) << cut.err;
  const Outcome none = place.run(line + "--out run");
  EXPECT_EQ(none.code, 0);
  EXPECT_NE(none.err.find("there is nothing to validate with"), std::string::npos) << none.err;
  const Outcome measured = place.run("evaluate run --data labelled.txt");
  EXPECT_EQ(measured.code, 0) << measured.err;
  EXPECT_NE(measured.err.find("run has no best checkpoint"), std::string::npos) << measured.err;
  EXPECT_EQ(place.run("evaluate run --data labelled.txt --checkpoint last").out, measured.out);
  EXPECT_EQ(place.run("evaluate run --data labelled.txt --checkpoint best").code, 2);
}

TEST(TrainText, TooShortToValidate) {
  const Workplace place;
  place.write("text.txt", "to be or not to be");
  const std::string line = "train --data text.txt --steps 2 --size custom --width 8 --heads 2 --context 4 --threads 1 ";
  const Outcome none = place.run(line + "--out run");
  EXPECT_EQ(none.code, 0) << none.err;
  const std::string said = "there is nothing to validate with";
  ASSERT_NE(none.err.find(said), std::string::npos) << none.err;
  EXPECT_EQ(none.err.find(said, none.err.find(said) + 1), std::string::npos) << none.err;  // once
  EXPECT_EQ(place.run(line + "--valid-share 0").err.find(said), std::string::npos);        // as asked for
  EXPECT_EQ(place.run("generate run --tokens 2").code, 0);
}

// "a fine film" has 11 bytes, of which the model sees 8; as words it has 3.
TEST(TrainClassifier, SaysWhenTextsAreCut) {
  const Workplace place;
  write_texts(place);
  const std::string line =
      "train --task classify --data labelled.txt --steps 2 --size custom --width 8 --heads 2 --context 8 --threads 1 ";
  const Outcome bytes = place.run(line);
  EXPECT_EQ(bytes.code, 0);
  EXPECT_NE(bytes.err.find("40 of 40 texts fill all 8 tokens that the model sees, and longer ones lose their tail"),
            std::string::npos)
      << bytes.err;
  EXPECT_EQ(place.run(line + "--tokenizer word --valid-data labelled.txt").err, "");
}

}  // namespace
}  // namespace clearway::golden
