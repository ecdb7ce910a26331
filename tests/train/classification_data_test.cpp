// Labelled texts: the formats, the published counts of SST and BANKING77, padded batches, and every refusal.
#include "clearway/train/classification_data.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

namespace fs = std::filesystem;
using testing_io::message_of;
using testing_io::TemporaryFolder;

TEST(ClassificationData, TheThreeFormatsGiveTheSame) {
  const TemporaryFolder folder;
  write_file(folder / "a.txt", "neg no , thanks\r\npos yes \"please\"\n\npos NA\n");
  write_file(folder / "a.csv", "x,category,text\n1,neg,\"no , thanks\"\n2,pos,\"yes \"\"please\"\"\"\n3,pos,NA\n");
  for (const auto* name : {"neg", "pos", "unsup"}) fs::create_directories(folder / "a/" + name);
  write_file(folder / "a/neg/0.txt", "no , thanks");
  write_file(folder / "a/pos/0.txt", "yes \"please\"");
  write_file(folder / "a/pos/1.txt", "NA");
  write_file(folder / "a/unsup/0.txt", "no label");
  write_file(folder / "a/urls.txt", "not a label");
  for (const auto* name : {"a.txt", "a.csv", "a"}) {
    ClassificationOptions options;
    options.train = folder / name;
    options.label = "category";
    const ClassificationData data = read_classification(options);
    EXPECT_EQ(data.labels, (std::vector<std::string>{"neg", "pos"}));
    EXPECT_EQ(data.train.texts, (std::vector<std::string>{"no , thanks", "yes \"please\"", "NA"})) << name;
    EXPECT_EQ(data.train.labels, (std::vector<int>{0, 1, 1}));
    EXPECT_TRUE(data.test.texts.empty());
  }
}

TEST(ClassificationData, WholeNumbersSortAsNumbers) {
  const TemporaryFolder folder;
  write_file(folder / "a", "10 x\n9 y\n-1 z\n");
  write_file(folder / "b", "10 x\n9 y\n9a z\n");
  ClassificationOptions options;
  options.train = folder / "a";
  EXPECT_EQ(read_classification(options).labels, (std::vector<std::string>{"-1", "9", "10"}));
  options.train = folder / "b";
  EXPECT_EQ(read_classification(options).labels, (std::vector<std::string>{"10", "9", "9a"}));
  write_file(folder / "c.csv", "text,label\nx,10\ny,9\n");
  options.train = folder / "c.csv";
  EXPECT_EQ(read_classification(options).labels, (std::vector<std::string>{"9", "10"}));
}

TEST(ClassificationData, PublishedCounts) {
  const std::string data = CLEARWAY_SHARED "/data/";
  if (!fs::exists(data + "sst")) GTEST_SKIP() << data << "sst is absent";
  // Socher et al. 2013 and Casanueva et al. 2020.
  ClassificationOptions options;
  const auto sizes = [&] {
    const ClassificationData set = read_classification(options);
    return std::vector<std::size_t>{set.labels.size(), set.train.texts.size(), set.valid.texts.size(),
                                    set.test.texts.size()};
  };
  options.train = data + "sst/stsa.binary.train";
  options.valid = data + "sst/stsa.binary.dev";
  options.test = data + "sst/stsa.binary.test";
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{2, 6920, 872, 1821}));
  options.train = data + "sst/stsa.fine.train";
  options.valid = data + "sst/stsa.fine.dev";
  options.test = data + "sst/stsa.fine.test";
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{5, 8544, 1101, 2210}));
  options = {};
  options.train = data + "banking77/train.csv";
  options.test = data + "banking77/test.csv";
  options.label = "category";
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{77, 10003, 0, 3080}));
  const auto banking = read_classification(options);
  auto names = read_json(data + "banking77/categories.json").get<std::vector<std::string>>();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(banking.labels, names);
  EXPECT_EQ(banking.train.texts[0], "I am still waiting on my card?");

  options = {};
  options.train = data + "sst/TREC.train.all";  // Latin-1
  EXPECT_NE(message_of([&] { (void)read_classification(options); }).find("is not UTF-8 text"), std::string::npos);
}

RC_GTEST_PROP(ClassificationBatches, EveryEpochHasEveryTextOnceAndPaddingIsMasked, ()) {
  LabelledTexts texts{.source = "a", .texts = {}, .labels = {}};
  const auto lengths =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 9)));
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    texts.texts.emplace_back(lengths[i], static_cast<char>('a' + i % 26));
    texts.labels.push_back(static_cast<int>(i));  // a label of its own, to recognise it by
  }
  const auto rows = *rc::gen::inRange<std::int64_t>(1, 6);
  const auto longest = *rc::gen::inRange<std::int64_t>(1, 9);
  const auto bytes = make_tokenizer({}, "", "a");
  const EncodedTexts set = encode_texts(texts, *bytes, longest, Truncation::head);
  const std::int64_t batches = batches_per_epoch(set, rows);
  const auto check = [&](const auto& batch_at) {
    std::vector<int> seen(lengths.size(), 0);
    for (std::int64_t b = 0; b < batches; ++b) {
      const ClassificationBatch batch = batch_at(b);
      RC_ASSERT(batch.rows == rows || b == batches - 1);
      RC_ASSERT(batch.length == *std::max_element(batch.lengths.begin(), batch.lengths.end()));
      for (std::int64_t row = 0; row < batch.rows; ++row) {
        const auto label = static_cast<std::size_t>(batch.labels[static_cast<std::size_t>(row)]);
        ++seen[label];
        for (std::int64_t i = 0; i < batch.length; ++i) {
          const auto at = static_cast<std::size_t>(row * batch.length + i);
          const bool inside = i < batch.lengths[static_cast<std::size_t>(row)];
          RC_ASSERT((batch.mask[at] == 1) == inside);
          RC_ASSERT(batch.tokens[at] == (inside ? set.texts[label][static_cast<std::size_t>(i)] : 0));
        }
      }
    }
    RC_ASSERT(seen == std::vector<int>(lengths.size(), 1));
  };
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  for (std::int64_t epoch = 0; epoch < 2; ++epoch)
    check([&](std::int64_t b) { return training_batch(set, rows, seed, epoch * batches + b); });
  check([&](std::int64_t b) { return evaluation_batch(set, rows, b); });
}

TEST(ClassificationBatches, LongTextsKeepTheEndThatWasAsked) {
  const auto bytes = make_tokenizer({}, "", "a");
  const LabelledTexts texts{.source = "a", .texts = {"abcdef", "", "xy"}, .labels = {0, 1, 0}};
  EXPECT_EQ(encode_texts(texts, *bytes, 3, Truncation::head).texts,
            (std::vector<TokenIds>{{'a', 'b', 'c'}, {0}, {'x', 'y'}}));
  EXPECT_EQ(encode_texts(texts, *bytes, 3, Truncation::tail).texts,
            (std::vector<TokenIds>{{'d', 'e', 'f'}, {0}, {'x', 'y'}}));
  LabelledTexts many{.source = "a", .texts = std::vector<std::string>(100, "a"), .labels = std::vector<int>(100)};
  std::iota(many.labels.begin(), many.labels.end(), 0);
  const EncodedTexts set = encode_texts(many, *bytes, 3, Truncation::head);
  EXPECT_NE(training_batch(set, 100, 1, 0).labels, training_batch(set, 100, 1, 1).labels);  // another epoch
  EXPECT_EQ(training_batch(set, 100, 1, 1).labels, training_batch(set, 100, 1, 1).labels);
}

TEST(ClassificationData, EveryRefusalIsNamed) {
  const TemporaryFolder folder;
  ClassificationOptions options;
  options.train = folder / "a.txt";
  const auto error = [&] { return message_of([&] { (void)read_classification(options); }); };
  const auto error_of = [&](const std::string& text) {
    write_file(folder / "a.txt", text);
    return error();
  };
  const std::string a = folder / "a.txt";
  EXPECT_EQ(error_of("1 x\n\n2\n"), a + ": line 3: has no text behind the label '2'");
  EXPECT_EQ(error_of("1 x\n y\n"), a + ": line 2: must begin with a label, not with white space");
  EXPECT_EQ(error_of("1 x\n2 \xFC\n").substr(0, a.size() + 26), a + ": line 2 is not UTF-8 text");
  EXPECT_EQ(error_of("\n"), a + ": there are no labelled texts in it");
  EXPECT_EQ(error_of("1 x\n1 y\n"), a + ": all texts have the label '1'; there must be at least two");
  EXPECT_EQ(error_of("good x\nbad y\n"), "no exception");
  options.test = folder / "b.txt";
  write_file(folder / "b.txt", "good x\ngoood y\n");
  EXPECT_EQ(error(),
            folder / "b.txt" + ": line 2: the label 'goood' does not occur in the training set (did you mean 'good'?)");
  options.train.clear();
  EXPECT_EQ(error(), "--data is missing: labelled texts to train on");
  options.test.clear();
  options.train = folder / "c.csv";
  write_file(folder / "c.csv", "text,labels\nx,1\ny,2\n");
  EXPECT_NE(error().find("(did you mean 'labels'?)"), std::string::npos) << error();
  write_file(folder / "c.csv", "text,label\nx,1\ny,\n");
  EXPECT_EQ(error(), folder / "c.csv" + ": line 3, column 2 ('label'): the label is missing");
  options.format = ClassificationFormat::folders;
  EXPECT_EQ(error(), folder / "c.csv" + ": is not a folder with one folder per label");
  options.longest = 0;
  EXPECT_EQ(error(), "longest must be at least 1, not 0");
}

}  // namespace
}  // namespace clearway::train
