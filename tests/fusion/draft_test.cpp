// Drafts of specs: of the layouts that people have, each must read back and prepare.
#include "clearway/fusion/draft.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "clearway/base/random.hpp"
#include "clearway/fusion/preparation.hpp"
#include "fusion/data_folder.hpp"

namespace clearway::fusion {
namespace {

namespace fs = std::filesystem;
using testing_io::message_of;
using Names = std::vector<std::string>;

/// Reads and prepares by a spec; the names of the modalities.
Names trained(const Json& json, const std::string& folder, FusionSplit* sides = nullptr) {
  const FusionSpec spec = spec_from_json(json, "draft.json", folder);
  const RawData raw = read_samples(spec);
  const FusionSplit split = split_samples(spec, raw);
  if (sides != nullptr) *sides = split;
  const PreparedData data = Preparation::fit(spec, raw, split.train).apply(raw);
  Names names;
  for (const auto& modality : data.modalities) names.push_back(modality.shape.name);
  return names;
}

const Json& modality(const Json& spec, const std::string& name) {
  for (const auto& entry : spec.at("modalities"))
    if (entry.at("name") == name) return entry;
  throw std::out_of_range(name);
}

TEST(Draft, AFolderOfStaysWithOutcomes) {
  DataFolder data;
  RandomStream random(1);
  std::string outcomes = "RecordID,SAPS-I,Survival,In-hospital_death\n";
  for (int i = 0; i < 60; ++i) {
    std::string stay = fmt::format("Time,Parameter,Value\n00:00,RecordID,{0}\n00:00,Age,{1}\n00:00,Gender,{2}\n",
                                   100 + i, 40 + i, i % 2 == 0 ? i % 4 / 2 : -1);
    for (int j = 0; j < 5; ++j) {
      const std::string time = fmt::format("{:02}:{:02}", 5 * j, random.index(60));
      stay +=
          fmt::format("{0},SysABP,{1:.1f}\n{0},DiasABP,{2:.1f}\n", time, 110 + random.normal(), 70 + random.normal());
      stay += fmt::format("{:02}:30,Temp,{:.1f}\n", 4 * j, 37 + random.normal());
    }
    data.file(fmt::format("set-a/{}.txt", 100 + i), stay);
    outcomes += fmt::format("{},{},{},{}\n", 100 + i, random.index(20), i % 7 == 0 ? -1 : i, i % 2);
  }
  data.file("Outcomes-a.txt", outcomes);
  data.file("README.md", "no, table\n1, 2\n");
  const Json spec = draft_spec(data.path());
  EXPECT_EQ(spec["target"]["column"], "In-hospital_death");
  EXPECT_EQ(spec["target"]["kind"], "binary");
  EXPECT_EQ(spec["time"]["unit"], "hh:mm");
  EXPECT_EQ(spec["sources"]["set-a"]["id"], Json::array({"file"}));
  EXPECT_EQ(modality(spec, "set-a-static")["columns"], Json({"Age", "Gender"}));  // not RecordID
  EXPECT_EQ(modality(spec, "set-a-static")["categories"], Json::array({"Gender"}));
  EXPECT_EQ(modality(spec, "set-a-static")["missing_values"], Json::array({-1}));
  EXPECT_EQ(modality(spec, "SysABP")["columns"], Json({"SysABP", "DiasABP"}));
  EXPECT_EQ(modality(spec, "set-a-other")["columns"], Json::array({"Temp"}));
  EXPECT_EQ(trained(spec, data.path()), (Names{"set-a-static", "SysABP", "set-a-other"}));
}

TEST(Draft, WideTablesWithTextsCopiesOfTheOutcomeAndSubjects) {
  DataFolder data;
  std::string visits = "visit_id,patient_id,sex,age,label\n", notes = "visit_id,text,label_again\n";
  std::string walk = "visit_id,timestamp,x,y\n";
  for (int i = 0; i < 40; ++i) {
    const char* label = i % 3 == 0 ? "ill" : "well";
    visits += fmt::format("v{},p{},{},{},{}\n", i, i / 2, i % 2 == 0 ? "m" : "f", 20 + i % 30, label);
    notes += fmt::format("v{},patient number {} is doing so so,{}\n", i, i, label);
    for (int j = 0; j < 3; ++j) walk += fmt::format("v{},2020-01-{:02}T{:02}:00,{},{}\n", i, 1 + i % 28, 6 * j, i, j);
  }
  data.file("visits.csv", visits);
  data.file("notes.csv", notes);
  data.file("walk.csv", walk);
  data.file("lookup.csv", "code,meaning\n1,one\n2,two\n");
  const Json spec = draft_spec(data.path());
  EXPECT_EQ(spec["target"]["column"], "label");
  EXPECT_EQ(spec["target"]["positive"], "well");
  EXPECT_EQ(spec["split"]["by"], "patient_id");
  EXPECT_EQ(spec["time"]["unit"], "iso-8601");
  EXPECT_EQ(spec["time"]["horizon"], 12);
  EXPECT_EQ(spec["time"]["index"], "first");
  EXPECT_EQ(trained(spec, data.path()), (Names{"notes-text", "walk"}));
  const std::string all = spec["note"].dump();
  EXPECT_NE(all.find("column label_again of notes.csv is left out, for it is the outcome"), std::string::npos) << all;
  EXPECT_NE(all.find("lookup.csv is left out, for its rows name no sample of visits.csv"), std::string::npos) << all;
}

TEST(Draft, DiedIsAnOutcome) {
  DataFolder data;
  std::string stays = "stay_id,age,died\n";
  for (int i = 0; i < 30; ++i) stays += fmt::format("{},{},{}\n", 100 + i, 40 + i % 9, i % 3 == 0 ? 1 : 0);
  data.file("stays.csv", stays);
  EXPECT_EQ(draft_spec(data.path())["target"]["column"], "died");
}

TEST(Draft, SaysWhatIsMissing) {
  DataFolder data;
  data.file("a.csv", "id,x\n1,2\n");
  EXPECT_EQ(message_of([&] { (void)draft_spec(data.path()); }),
            data.path() +
                ": no column looks like an outcome (label, target, outcome, class, death ...) in a; write the spec by "
                "hand, or rename the column");
  data.file("a.csv", "id,label\n1,1\n2,0\n");
  EXPECT_EQ(message_of([&] { (void)draft_spec(data.path()); }),
            data.path() + ": no column or file that a prediction of 'label' could come from");
  EXPECT_EQ(message_of([&] { (void)draft_spec(data.path() + "/none"); }),
            data.path() + "/none: there is no such folder");
}

class PublishedSets : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* shared = std::getenv("CLEARWAY_SHARED");
    folder_ = std::string(shared != nullptr ? shared : CLEARWAY_SHARED) + "/data/";
    if (!fs::exists(folder_ + "mosi_utterance")) GTEST_SKIP() << "the shared data are absent: set CLEARWAY_SHARED";
  }
  std::string folder_;
};

TEST_F(PublishedSets, Mosi) {
  const Json spec = draft_spec(folder_ + "mosi_utterance");
  EXPECT_EQ(spec["split"]["by"], "video_id");
  EXPECT_EQ(spec["sources"]["samples"]["id"], Json({"video_id", "utt"}));
  EXPECT_EQ(modality(spec, "a")["columns"], Json::array({"a0..a72"}));
  FusionSplit split;
  const Names names = trained(spec, folder_ + "mosi_utterance", &split);
  EXPECT_EQ(Names(names.begin(), names.begin() + 3), (Names{"t", "a", "v"}));
  EXPECT_EQ(split.test.size(), 752u);
}

TEST_F(PublishedSets, Handwritten) {
  const Json spec = draft_spec(folder_ + "handwritten6");
  EXPECT_EQ(spec["target"]["kind"], "multi-class");
  FusionSplit split;
  EXPECT_EQ(trained(spec, folder_ + "handwritten6", &split), (Names{"pix", "fou", "fac", "zer", "kar", "mor"}));
  EXPECT_EQ(split.train.size() + split.valid.size(), 1600u);
  EXPECT_EQ(split.test.size(), 400u);
}

}  // namespace
}  // namespace clearway::fusion
