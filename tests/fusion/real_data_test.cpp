// Published sets as the ready-made specs read them: row A1 of the acceptance table (counts and presence of PhysioNet 2012).
// Skipped where the shared data are absent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "clearway/fusion/preparation.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::fusion {
namespace {

namespace fs = std::filesystem;
using testing_io::TemporaryFolder;

std::string shared(const std::string& name) {
  const char* folder = std::getenv("CLEARWAY_SHARED");
  return std::string(folder != nullptr ? folder : CLEARWAY_SHARED) + "/data/" + name;
}

Json example(const std::string& name) {
  return read_json(CLEARWAY_SOURCE "/examples/fusion/" + name);
}

/// Share of samples without a modality, in per cent.
double absent(const RawModality& modality) {
  double count = 0;
  for (std::size_t i = 0; i + 1 < modality.offsets.size(); ++i) count += modality.offsets[i] == modality.offsets[i + 1];
  return 100 * count / static_cast<double>(modality.offsets.size() - 1);
}

class PhysioNet : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    for (const std::string set : {"a", "b"}) {
      const std::string archive = shared("physionet2012/set-" + set + ".tar.xz");
      if (!fs::exists(archive)) return;
      const std::string command = "tar -xJf '" + archive + "' -C '" + folder_->path() + "'";
      if (std::system(command.c_str()) != 0) return;
      fs::copy_file(shared("physionet2012/Outcomes-" + set + ".txt"), *folder_ / ("Outcomes-" + set + ".txt"));
    }
    ready_ = true;
  }
  static void TearDownTestSuite() { folder_.reset(); }
  void SetUp() override {
    if (!ready_) GTEST_SKIP() << "the shared data (or tar with xz) are absent: set CLEARWAY_SHARED";
  }
  inline static std::unique_ptr<TemporaryFolder> folder_;
  inline static bool ready_ = false;
};

TEST_F(PhysioNet, SetAHasThePublishedCounts) {
  Json json = example("physionet2012.json");
  json["sources"]["records"]["path"] = "set-a/*.txt";
  json["sources"]["outcomes"]["path"] = "Outcomes-a.txt";
  const RawData raw = read_samples(spec_from_json(json, "physionet2012.json", folder_->path()));
  EXPECT_EQ(raw.samples(), 4000);
  EXPECT_EQ(raw.report.sources[0].files, 4000u);
  EXPECT_EQ(raw.report.sources[0].rows, 1757980u);   // below the header lines, RecordID's rows among them
  EXPECT_EQ(raw.report.sources[0].parameters, 42u);  // 36 series, Weight, and 5 descriptors, RecordID among them
  double deaths = 0;
  for (const double y : raw.target.values) deaths += y;
  EXPECT_EQ(deaths, 554);
  EXPECT_EQ(raw.report.samples_without_outcome, 0u);
}

TEST_F(PhysioNet, PresenceOfModalitiesInSetsAAndB) {
  const RawData raw =
      read_samples(spec_from_json(example("physionet2012.json"), "physionet2012.json", folder_->path()));
  EXPECT_EQ(raw.samples(), 8000);
  EXPECT_EQ(raw.report.sources[0].rows, 1757980u + 1762535u);
  double deaths = 0;
  for (const double y : raw.target.values) deaths += y;
  EXPECT_EQ(deaths, 554 + 568);
  // Independent counts on the same sets, rounded to one decimal.
  const std::vector<std::pair<std::string, double>> missing{
      {"static", 0},       {"vitals", 1.6},    {"invasive-bp", 30.0}, {"nursing", 1.5},
      {"blood-gas", 16.5}, {"chemistry", 1.4}, {"liver", 47.7},       {"cardiac", 68.8}};
  ASSERT_EQ(raw.modalities.size(), missing.size());
  for (std::size_t m = 0; m < missing.size(); ++m) {
    EXPECT_EQ(raw.modalities[m].name, missing[m].first);
    EXPECT_NEAR(absent(raw.modalities[m]), missing[m].second, 0.1) << missing[m].first;
  }
  const FusionSpec spec = spec_from_json(example("physionet2012.json"), "physionet2012.json", folder_->path());
  const FusionSplit split = split_samples(spec, raw);
  EXPECT_EQ(split.train.size(), 5600u);
  EXPECT_EQ(split.valid.size(), 800u);
  EXPECT_EQ(split.test.size(), 1600u);
  const PreparedData data = Preparation::fit(spec, raw, split.train).apply(raw);
  for (const auto& modality : data.modalities) {
    for (const float x : modality.values) ASSERT_TRUE(std::isfinite(x)) << modality.shape.name;
    for (const float x : modality.summary) ASSERT_TRUE(std::isfinite(x)) << modality.shape.name;
    EXPECT_EQ(modality.steps, is_series(modality.shape.kind) ? 48 : 0);
  }
}

TEST(Mosi, UtterancesOfOtherSpeakersAreTheTest) {
  const std::string folder = shared("mosi_utterance");
  if (!fs::exists(folder)) GTEST_SKIP() << "the shared data are absent: set CLEARWAY_SHARED";
  const FusionSpec spec = spec_from_json(example("mosi.json"), "mosi.json", folder);
  const RawData raw = read_samples(spec);
  EXPECT_EQ(raw.samples(), 2199);
  const FusionSplit split = split_samples(spec, raw);
  EXPECT_EQ(split.train.size() + split.valid.size(), 1447u);
  EXPECT_EQ(split.test.size(), 752u);
  EXPECT_EQ(raw.modalities[0].features.size(), 100u);
  EXPECT_EQ(raw.modalities[1].features.size(), 73u);
  EXPECT_EQ(raw.modalities[2].features.size(), 100u);
  for (const auto& modality : raw.modalities) EXPECT_EQ(absent(modality), 0) << modality.name;  // transcripts, too
}

}  // namespace
}  // namespace clearway::fusion
