// Preparation against values computed by hand, and the laws of scales and splits.
#include "clearway/fusion/preparation.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "clearway/base/random.hpp"
#include "fusion/data_folder.hpp"

namespace clearway::fusion {
namespace {

using testing_io::message_of;
using Names = std::vector<std::string>;
using Rows = std::vector<std::int64_t>;

/// Numbers equal up to the rounding to float.
void expect_floats(const std::vector<float>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_FLOAT_EQ(actual[i], static_cast<float>(expected[i])) << i;
}

Rows all_of(const RawData& raw) {
  Rows rows(static_cast<std::size_t>(raw.samples()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

/// A table of five samples with one modality, whose keys are given.
struct Prepared {
  DataFolder data;
  RawData raw;
  Preparation preparation;
  PreparedData all;
};
void prepare(Prepared& p, const std::string& table, const std::string& modality, const Rows& train) {
  p.data.file("t.csv", table);
  p.data.spec(R"({"sources": {"t": {"format": "wide", "path": "t.csv", "id": "id"}},
                  "target": {"source": "t", "column": "y", "kind": "regression"},
                  "modalities": [{"name": "m", "kind": "static", "source": "t", )" +
              modality + "}]}");
  p.raw = p.data.read();
  p.preparation = Preparation::fit(p.data.spec(), p.raw, train);
  p.all = p.preparation.apply(p.raw);
}

TEST(Preparation, ZScoresOfTheTrainingSamples) {
  Prepared p;
  prepare(p, "id,y,a,b\n1,10,1,7\n2,20,3,7\n3,30,5,7\n4,50,11,8\n5,0,,\n", R"("columns": ["a", "b"])", {0, 1, 2, 4});
  // a of the training samples: 1, 3, 5 with mean 3 and variance 8/3; b: 7 three times.
  const double sd = std::sqrt(8.0 / 3);
  expect_floats(p.all.modalities[0].values, {-2 / sd, 0, 0, 0, 2 / sd, 0, 8 / sd, 1, 0, 0});
  EXPECT_EQ(p.all.modalities[0].mask, (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(p.all.modalities[0].present, (std::vector<std::uint8_t>{1, 1, 1, 1, 0}));
  // y: 10, 20, 30, 0 with mean 15 and variance 125.
  const double scale = std::sqrt(125.0);
  EXPECT_DOUBLE_EQ(p.all.target.centre[0], 15);
  EXPECT_DOUBLE_EQ(p.all.target.scale[0], scale);
  expect_floats(p.all.target.values, {-5 / scale, 5 / scale, 15 / scale, 35 / scale, -15 / scale});
}

TEST(Preparation, AModalityOfNoTrainingSampleIsAbsentEverywhere) {
  for (const bool text : {false, true}) {
    Prepared p;
    p.data.file("t.csv", fmt::format("id,y,a\n1,10,\n2,20,\n3,30,{}\n4,40,{}\n", text ? "!" : "", text ? "word" : "5"));
    p.data.spec(fmt::format(R"({{"sources": {{"t": {{"format": "wide", "path": "t.csv", "id": "id"}}}},
                                "target": {{"source": "t", "column": "y", "kind": "regression"}},
                                "modalities": [{{"name": "m", "kind": "{}", "source": "t", "columns": "a"}}]}})",
                            text ? "text" : "static"));
    p.raw = p.data.read();
    p.preparation = Preparation::fit(p.data.spec(), p.raw, Rows{0, 1, 2});
    p.all = p.preparation.apply(p.raw);
    EXPECT_FALSE(p.preparation.modalities()[0].learned);
    EXPECT_EQ(p.all.modalities[0].present, (std::vector<std::uint8_t>{0, 0, 0, 0}));
    EXPECT_EQ(p.preparation.not_learned(p.raw), Names{"m"});
    const Preparation again = Preparation::from_json(p.preparation.to_json(), "again");
    EXPECT_EQ(again.apply(p.raw).modalities[0].present, (std::vector<std::uint8_t>{0, 0, 0, 0}));
    // One training sample is enough.
    const Preparation learned = Preparation::fit(p.data.spec(), p.raw, Rows{0, 3});
    EXPECT_TRUE(learned.modalities()[0].learned);
    EXPECT_EQ(learned.apply(p.raw).modalities[0].present, (std::vector<std::uint8_t>{0, 0, 0, 1}));
    EXPECT_EQ(learned.not_learned(p.raw), Names{});
    // A file of before has no mark: what it holds was learned.
    Json older = learned.to_json();
    older["modalities"][0].erase("learned");
    EXPECT_EQ(Preparation::from_json(older, "older").apply(p.raw).modalities[0].present,
              (std::vector<std::uint8_t>{0, 0, 0, 1}));
  }
}

TEST(Preparation, WinsorisesBeforeTransforming) {
  Prepared p;
  // Quantiles of 0, 3, 8, 99 at 0.25 and 0.75 (type 7): 2.25 and 30.75.
  prepare(p, "id,y,a\n1,0,0\n2,0,3\n3,0,8\n4,0,99\n5,1,1000\n",
          R"("columns": "a", "winsorise": 0.25, "transform": "log1p")", {0, 1, 2, 3});
  const std::vector<double> logs{std::log(3.25), std::log(4.0), std::log(9.0), std::log(31.75)};
  const double mean = (logs[0] + logs[1] + logs[2] + logs[3]) / 4;
  double variance = 0;
  for (const double x : logs) variance += (x - mean) * (x - mean) / 4;
  const double sd = std::sqrt(variance);
  expect_floats(p.all.modalities[0].values, {(logs[0] - mean) / sd, (logs[1] - mean) / sd, (logs[2] - mean) / sd,
                                             (logs[3] - mean) / sd, (logs[3] - mean) / sd});
  Prepared bad;
  EXPECT_EQ(message_of([&] {
              prepare(bad, "id,y,a\n1,0,0\n2,0,-1\n", R"("columns": "a", "transform": "log1p")", {0, 1});
            }),
            "modality 'm': 'a' holds -1, of which there is no log1p; leave such values out with range, or take asinh");
}

TEST(Preparation, CategoriesHaveALevelForWhatWasNeverSeen) {
  Prepared p;
  prepare(p, "id,y,c\n1,0,red\n2,0,blue\n3,0,green\n4,0,\n", R"("columns": "c", "categories": "c")", {0, 1});
  EXPECT_EQ(p.all.modalities[0].features, (Names{"c=blue", "c=red", "c=(other)"}));
  expect_floats(p.all.modalities[0].values, {0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0});
  EXPECT_EQ(p.all.modalities[0].mask, (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(p.all.modalities[0].present, (std::vector<std::uint8_t>{1, 1, 1, 0}));
  // Levels of other data are matched by name, not by number.
  p.data.file("t.csv", "id,y,c\n1,0,amber\n2,0,red\n");
  expect_floats(p.preparation.apply(p.data.read()).modalities[0].values, {0, 0, 1, 0, 1, 0});
}

/// Two features of three samples over 10 hours.
void write_series(DataFolder& data, const std::string& keys) {
  data.file("y.csv", "id,y\n1,0\n2,1\n3,0\n");
  data.file("s.csv",
            "id,t,Parameter,Value\n1,0,a,1\n1,1,a,3\n1,2.5,a,5\n1,10,b,2\n1,10,a,-1\n2,5,b,4\n2,5,b,6\n2,4.9,a,1\n");
  data.spec(R"({"sources": {"y": {"format": "wide", "path": "y.csv", "id": "id"},
                            "s": {"format": "long", "path": "s.csv", "id": "id", "time": "t"}},
                "time": {"horizon": 10}, "target": {"source": "y", "column": "y"},
                "modalities": [{"name": "m", "kind": "irregular", "source": "s", "columns": ["a", "b"])" +
            keys + "}]}");
}

// a: 1, 3, 5, -1, 1 with mean 1.8 and variance 4.16; b: 2, 4, 6 with mean 4 and variance 8/3.
double a(double x) {
  return (x - 1.8) / std::sqrt(4.16);
}
double b(double x) {
  return (x - 4) / std::sqrt(8.0 / 3);
}

TEST(Preparation, CellsOfAGridHoldMeans) {
  DataFolder data;
  write_series(data, R"(, "grid": 4)");
  const RawData raw = data.read();
  const Preparation preparation = Preparation::fit(data.spec(), raw, all_of(raw));
  const PreparedModality m = preparation.apply(raw).modalities[0];
  EXPECT_EQ(m.steps, 4);
  EXPECT_TRUE(m.shared_times);
  expect_floats(m.times, {0.125, 0.375, 0.625, 0.875});
  // Cells of 2.5 hours: 2.5 begins the second, 10 is in the last.
  expect_floats(m.values, {a(2), 0, a(5), 0, 0, 0,    a(-1), b(2),  //
                           0,    0, a(1), 0, 0, b(5), 0,     0,     //
                           0,    0, 0,    0, 0, 0,    0,     0});
  EXPECT_EQ(m.mask,
            (std::vector<std::uint8_t>{1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(m.present, (std::vector<std::uint8_t>{1, 1, 0}));
  EXPECT_EQ(preparation.shapes()[0].features, 2);
  EXPECT_EQ(preparation.shapes()[0].summaries, 14);
}

TEST(Preparation, EveryFullHourIsInTheCellThatItBegins) {
  DataFolder data;
  std::string rows = "id,t,Parameter,Value\n";
  for (int hour = 0; hour < 48; ++hour) rows += fmt::format("1,{:02}:00,a,{}\n", hour, hour);
  data.file("y.csv", "id,y\n1,0\n2,1\n");
  data.file("s.csv", rows);
  data.spec(R"({"sources": {"y": {"format": "wide", "path": "y.csv", "id": "id"},
                            "s": {"format": "long", "path": "s.csv", "id": "id", "time": "t"}},
                "time": {"unit": "hh:mm", "horizon": 48, "grid": 48}, "target": {"source": "y", "column": "y"},
                "modalities": [{"name": "m", "kind": "irregular", "source": "s", "columns": "a"}]})");
  const RawData raw = data.read();
  const PreparedModality m = Preparation::fit(data.spec(), raw, all_of(raw)).apply(raw).modalities[0];
  for (std::size_t cell = 0; cell < 48; ++cell) EXPECT_EQ(m.mask[cell], 1) << cell;
}

TEST(Preparation, OwnTimesArePaddedAndCut) {
  DataFolder data;
  write_series(data, "");
  const RawData raw = data.read();
  const PreparedModality m = Preparation::fit(data.spec(), raw, all_of(raw)).apply(raw).modalities[0];
  EXPECT_EQ(m.steps, 4);
  EXPECT_FALSE(m.shared_times);
  expect_floats(m.times, {0, 0.1, 0.25, 1, 0.49, 0.5, 0.5, 0, 0, 0, 0, 0});
  expect_floats(m.values, {a(1), 0, a(3), 0,    a(5), 0,    a(-1), b(2),  //
                           a(1), 0, 0,    b(4), 0,    b(6), 0,     0,     //
                           0,    0, 0,    0,    0,    0,    0,     0});
  for (const bool first : {false, true}) {
    write_series(data, first ? R"(, "max_length": 2, "keep": "first")" : R"(, "max_length": 2)");
    const PreparedModality cut = Preparation::fit(data.spec(), raw, all_of(raw)).apply(raw).modalities[0];
    EXPECT_EQ(cut.steps, 2);
    expect_floats(cut.times,
                  first ? std::vector<double>{0, 0.1, 0.49, 0.5, 0, 0} : std::vector<double>{0.25, 1, 0.5, 0.5, 0, 0});
    EXPECT_EQ(cut.summary, m.summary);  // of all that was observed
  }
}

TEST(Preparation, SummariesAreStandardisedWhereObserved) {
  DataFolder data;
  write_series(data, "");
  const RawData raw = data.read();
  const PreparedModality m = Preparation::fit(data.spec(), raw, all_of(raw)).apply(raw).modalities[0];
  EXPECT_EQ(Names(m.summary_names.begin(), m.summary_names.begin() + 7),
            (Names{"a mean", "a max", "a min", "a last", "a change", "a log count", "a observed"}));
  // Of two samples with one standard deviation 1 is 1 and the other -1, unless they are equal. Sample 1 has of a: mean 2,
  // max 5, min -1, last -1, change -2, four of them; sample 2: 1, 1, 1, 1, 0, one. Of b: 2, 2, 2, 2, 0, one; 5, 6, 4, 6,
  // 2, two.
  expect_floats(m.summary, {1,  1,  -1, -1, -1, 1,  1, -1, -1, -1, -1, -1, -1, 1,  //
                            -1, -1, 1,  1,  1,  -1, 1, 1,  1,  1,  1,  1,  1,  1,  //
                            0,  0,  0,  0,  0,  0,  0, 0,  0,  0,  0,  0,  0,  0});
}

TEST(Preparation, TextsAreHashedWordsOfLengthOne) {
  Prepared p;
  p.data.file("t.csv", "id,y,w\n1,0,The cat; the DOG\n2,1,the cat\n3,0,...\n4,1,\n5,0,zebra\n");
  p.data.spec(R"({"sources": {"t": {"format": "wide", "path": "t.csv", "id": "id"}},
                  "target": {"source": "t", "column": "y"},
                  "modalities": [{"name": "m", "kind": "text", "source": "t", "columns": "w", "ngrams": [1, 1],
                                  "buckets": 100000}]})");
  p.raw = p.data.read();
  p.preparation = Preparation::fit(p.data.spec(), p.raw, Rows{0, 1, 2, 3});
  const PreparedModality m = p.preparation.apply(p.raw).modalities[0];
  EXPECT_EQ(m.present, (std::vector<std::uint8_t>{1, 1, 0, 0, 1}));
  // 3 training texts; the and cat are in two, dog in one. Weights (1 + log count) (1 + log(4 / (1 + d))).
  const double common = 1 + std::log(4.0 / 3), rare = 1 + std::log(4.0 / 2);
  const double the = (1 + std::log(2.0)) * common;
  const double length = std::sqrt(the * the + common * common + rare * rare);
  // FNV-1a of "the", "cat", "dog" modulo 100000, from the reference parameters of the hash.
  const auto bucket = [](std::string_view word) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return static_cast<std::size_t>(hash % 100000);
  };
  EXPECT_FLOAT_EQ(m.values[bucket("the")], static_cast<float>(the / length));
  EXPECT_FLOAT_EQ(m.values[bucket("cat")], static_cast<float>(common / length));
  EXPECT_FLOAT_EQ(m.values[bucket("dog")], static_cast<float>(rare / length));
  EXPECT_FLOAT_EQ(m.values[400000 + bucket("zebra")], 1.0F);
  EXPECT_EQ(std::count_if(m.values.begin(), m.values.begin() + 100000, [](float x) { return x != 0; }), 3);
}

TEST(Preparation, OtherDataMustBeOfTheSameKind) {
  Prepared p;
  prepare(p, "id,y,a\n1,0,1\n2,1,2\n", R"("columns": "a")", {0, 1});
  Prepared q;
  prepare(q, "id,y,a,b\n1,0,1,1\n2,1,2,2\n", R"("columns": ["b"])", {0, 1});
  EXPECT_EQ(message_of([&] { (void)p.preparation.apply(q.raw); }),
            "the data's modality 'm' of the kind static with the columns b is not what was trained: 'm', static, a");
  // Classes are matched by name.
  p.data.file("c.csv", "id,y,a\n1,lo,1\n2,hi,2\n3,lo,3\n");
  p.data.spec(R"({"sources": {"t": {"format": "wide", "path": "c.csv", "id": "id"}},
                  "target": {"source": "t", "column": "y", "kind": "multi-class"},
                  "modalities": [{"name": "m", "kind": "static", "source": "t", "columns": "a"}]})");
  const RawData raw = p.data.read();
  const Preparation preparation = Preparation::fit(p.data.spec(), raw, all_of(raw));
  EXPECT_EQ(preparation.target().classes, (Names{"hi", "lo"}));
  p.data.file("c.csv", "id,y,a\n1,lo,1\n");
  expect_floats(preparation.apply(p.data.read(true)).target.values, {1});
  p.data.file("c.csv", "id,y,a\n1,mid,1\n");
  EXPECT_EQ(message_of([&] { (void)preparation.apply(p.data.read(true)); }),
            "the class 'mid' of the target 'y' is none of those trained, hi, lo");
}

/// Random samples: three numbers with gaps, a category, a series.
void write_random(DataFolder& data, std::uint64_t seed, int samples, const std::string& split) {
  RandomStream random(seed);
  std::string table = "id,subject,y,a,b,c,k\n", series = "id,t,Parameter,Value\n";
  const auto cell = [&](double x) { return random.uniform() < 0.2 ? std::string() : fmt::format("{}", x); };
  for (int i = 0; i < samples; ++i) {
    table += fmt::format("{},s{},{},{},{},{},{}\n", i, random.index(static_cast<std::uint64_t>(samples)), i % 2,
                         cell(random.normal()), cell(1e6 + random.normal()), cell(1e-7 * random.exponential()),
                         random.index(3));
    for (auto n = random.index(4); n > 0; --n)
      series += fmt::format("{},{},p,{}\n", i, random.uniform(), random.normal());
  }
  series += "0,0,p,1\n";
  data.file("t.csv", table);
  data.file("s.csv", series);
  data.spec(R"({"sources": {"t": {"format": "wide", "path": "t.csv", "id": "id"},
                            "s": {"format": "long", "path": "s.csv", "id": "id", "time": "t"}},
                "time": {"horizon": 1},
                "target": {"source": "t", "column": "y"}, "split": )" +
            split + R"(, "modalities": [
                {"name": "m", "kind": "static", "source": "t", "columns": ["a", "b", "c", "k"], "categories": "k"},
                {"name": "s", "kind": "irregular", "source": "s", "columns": "p", "winsorise": 0.1}]})");
}

RC_GTEST_PROP(PreparationLaws, TrainingRowsHaveMeanZeroAndDeviationOne, ()) {
  DataFolder data;
  write_random(data, *rc::gen::arbitrary<std::uint64_t>(), *rc::gen::inRange(12, 60), R"({"by": "id"})");
  const RawData raw = data.read();
  const FusionSplit split = split_samples(data.spec(), raw);
  const PreparedModality m = Preparation::fit(data.spec(), raw, split.train).apply(raw).modalities[0];
  for (std::size_t f = 0; f < 3; ++f) {
    double n = 0, sum = 0, squares = 0;
    for (const std::int64_t i : split.train) {
      const std::size_t at = static_cast<std::size_t>(i) * m.features.size() + f;
      if (m.mask[at] == 0) continue;
      n += 1;
      sum += static_cast<double>(m.values[at]);
      squares += static_cast<double>(m.values[at]) * static_cast<double>(m.values[at]);
    }
    if (n < 2) continue;
    // Values are floats of size at most sqrt(n), rounded to 6e-8 of that; 1e6 + z loses another 1e-10 in its file.
    RC_ASSERT(std::abs(sum / n) < 1e-6);
    RC_ASSERT(std::abs(squares / n - 1) < 1e-5);
  }
}

RC_GTEST_PROP(PreparationLaws, ComesBackFromJsonBitForBit, ()) {
  DataFolder data;
  write_random(data, *rc::gen::arbitrary<std::uint64_t>(), *rc::gen::inRange(12, 40), R"({"by": "id"})");
  const RawData raw = data.read();
  const Preparation first = Preparation::fit(data.spec(), raw, split_samples(data.spec(), raw).train);
  const std::string text = json_text(first.to_json());
  const Preparation second = Preparation::from_json(parse_json(text, "p.json"), "p.json");
  RC_ASSERT(json_text(second.to_json()) == text);
  const PreparedData x = first.apply(raw), y = second.apply(raw);
  for (std::size_t m = 0; m < x.modalities.size(); ++m) {
    RC_ASSERT(x.modalities[m].values == y.modalities[m].values);
    RC_ASSERT(x.modalities[m].summary == y.modalities[m].summary);
    RC_ASSERT(x.modalities[m].mask == y.modalities[m].mask);
  }
}

RC_GTEST_PROP(SplitLaws, GroupsAreOnOneSideAndAllSamplesOnSome, ()) {
  DataFolder data;
  write_random(data, *rc::gen::arbitrary<std::uint64_t>(), *rc::gen::inRange(20, 80),
               R"({"by": "subject", "train": 0.6, "valid": 0.2, "test": 0.2})");
  RawData raw = data.read();
  const std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
  const FusionSplit split = split_samples(data.spec(), raw, seed);
  std::vector<int> side(static_cast<std::size_t>(raw.samples()), -1);
  int number = 0;
  for (const Rows* rows : {&split.train, &split.valid, &split.test}) {
    for (const std::int64_t i : *rows) {
      RC_ASSERT(side[static_cast<std::size_t>(i)] == -1);
      side[static_cast<std::size_t>(i)] = number;
    }
    ++number;
  }
  for (std::size_t i = 0; i < side.size(); ++i) {
    RC_ASSERT(side[i] >= 0);
    for (std::size_t j = 0; j < i; ++j)
      if (raw.groups[i] == raw.groups[j]) RC_ASSERT(side[i] == side[j]);
  }
  // Sides have their shares up to the largest group.
  std::map<std::string, double> sizes;
  for (const auto& group : raw.groups) sizes[group] += 1;
  double largest = 0;
  for (const auto& [group, size] : sizes) largest = std::max(largest, size);
  RC_ASSERT(std::abs(static_cast<double>(split.train.size()) - 0.6 * static_cast<double>(raw.samples())) <= largest);
  // The order of samples is nothing.
  std::reverse(raw.ids.begin(), raw.ids.end());
  std::reverse(raw.groups.begin(), raw.groups.end());
  const FusionSplit again = split_samples(data.spec(), raw, seed);
  std::set<std::int64_t> mirrored;
  for (const std::int64_t i : again.test) mirrored.insert(raw.samples() - 1 - i);
  RC_ASSERT(mirrored == std::set<std::int64_t>(split.test.begin(), split.test.end()));
}

TEST(Split, ByAColumnWithValidationFromTheTrainingGroups) {
  DataFolder data;
  std::string train = "id,who,y,a\n", test = "id,who,y,a\n";
  for (int i = 0; i < 40; ++i) train += fmt::format("{},w{},{},1\n", i, i / 4, i % 2);
  for (int i = 40; i < 50; ++i) test += fmt::format("{},v{},{},1\n", i, i / 4, i % 2);
  data.file("train.csv", train);
  data.file("test.csv", test);
  data.spec(R"({"sources": {"t": {"format": "wide", "path": ["train.csv", "test.csv"], "id": "id"}},
                "target": {"source": "t", "column": "y"},
                "split": {"by": "who", "column": "file", "valid_share": 0.2},
                "modalities": [{"name": "m", "kind": "static", "source": "t", "columns": "a"}]})");
  const RawData raw = data.read();
  const FusionSplit split = split_samples(data.spec(), raw);
  EXPECT_EQ(split.train.size(), 32u);
  EXPECT_EQ(split.valid.size(), 8u);
  EXPECT_EQ(split.test, (Rows{40, 41, 42, 43, 44, 45, 46, 47, 48, 49}));
  std::set<std::string> valid;
  for (const std::int64_t i : split.valid) valid.insert(raw.groups[static_cast<std::size_t>(i)]);
  EXPECT_EQ(valid.size(), 2u);
  EXPECT_NE(split_samples(data.spec(), raw, 2).valid, split.valid);

  data.file("test.csv", "id,who,y,a\n99,w3,1,1\n");
  EXPECT_EQ(message_of([&] { (void)split_samples(data.spec(), data.read()); }),
            "spec.json: split: the group 'w3' is on two sides, train and test");
  data.file("train.csv", "id,who,y,a\n1,p,0,1\n2,q,1,1\n");
  data.spec(R"({"sources": {"t": {"format": "wide", "path": "train.csv", "id": "id"}},
                "target": {"source": "t", "column": "y"}, "split": {"by": "who"},
                "modalities": [{"name": "m", "kind": "static", "source": "t", "columns": "a"}]})");
  EXPECT_EQ(message_of([&] { (void)split_samples(data.spec(), data.read()); }),
            "spec.json: split: no sample is left for test among 2 samples");
}

}  // namespace
}  // namespace clearway::fusion
