// `clearway fuse`: train, evaluate, predict and sweep as their users see them, on a small synthetic benchmark.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) out.push_back(cell);
  return out;
}

/// 150 samples: 105 to learn from, 15 to choose by, 30 to test on; a third of the modalities is absent.
class Fuse : public ::testing::Test {
 protected:
  void SetUp() override { make("data", 1); }

  void make(const std::string& folder, int seed) const {
    ok("fuse synthetic " + folder + " --samples 150 --missing 0.3 --seed " + std::to_string(seed));
  }
  Outcome ok(const std::string& line) const {
    const Outcome outcome = place.run(line);
    EXPECT_EQ(outcome.code, 0) << line << "\n" << outcome.err;
    return outcome;
  }
  json ok_json(const std::string& line) const { return json::parse(ok(line + " --json").out); }
  void train(const std::string& more) const {
    ok("fuse train data/spec.json --epochs 2 --batch 40 --threads 1 --quiet " + more);
  }
  /// A mistake of the user: exit code 2 and all of these words.
  void refused(const std::string& line, const std::vector<std::string>& words) const {
    const Outcome outcome = place.run(line);
    EXPECT_EQ(outcome.code, 2) << line << "\n" << outcome.err << outcome.out;
    for (const std::string& word : words) EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
  }
  json spec() const { return json::parse(place.read("data/spec.json")); }
  void write_spec(const std::string& name, const json& changed) const { place.write("data/" + name, changed.dump()); }

  Workplace place;
};

TEST_F(Fuse, TrainLeavesARunThatEvaluateAndPredictRead) {
  train("--out run");
  for (const char* name : {"config.json", "model.json", "summary.json", "summary.txt", "predictions.csv",
                           "members/1/metrics.jsonl", "members/1/checkpoints/best"})
    EXPECT_TRUE(place.exists(std::string("run/") + name)) << name;
  const json summary = json::parse(place.read("run/summary.json"));
  EXPECT_EQ(summary["samples"]["train"], 105);
  EXPECT_EQ(summary["samples"]["valid"], 15);
  EXPECT_EQ(summary["samples"]["test"], 30);
  // Another process, from the files alone: every number is the same.
  EXPECT_EQ(ok_json("fuse evaluate run --threads 1"), summary["test"]);
  const Outcome predicted = ok("fuse predict run --threads 1");
  EXPECT_EQ(predicted.out, place.read("run/predictions.csv"));
  const auto lines = lines_of(predicted.out);
  ASSERT_EQ(lines.size(), 31U);
  const auto head = cells_of(lines[0]);
  EXPECT_EQ(head, (std::vector<std::string>{"id", "outcome", "probability", "set", "modalities"}));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const double p = std::stod(cells_of(lines[i])[2]);
    EXPECT_TRUE(p >= 0 && p <= 1) << lines[i];
  }
}

TEST_F(Fuse, ExplainSaysWhatEveryModalityChanged) {
  for (const char* router : {"joint", "disjoint"}) {
    train(std::string("--out ") + router + " --router " + router + " --experts 3");
    const std::string id = cells_of(lines_of(place.read(std::string(router) + "/predictions.csv"))[1])[0];
    const json all = ok_json(std::string("fuse predict ") + router + " --explain " + id);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0]["id"], id);
    ASSERT_EQ(all[0]["modalities"].size(), 4U);
    const double p = all[0]["probability"].get<double>();
    for (const json& modality : all[0]["modalities"]) {
      if (!modality["present"].get<bool>()) continue;
      const double without = modality["without"].get<double>();
      EXPECT_NEAR(modality["change"].get<double>(), std::log(p / (1 - p)) - std::log(without / (1 - without)), 1e-9);
    }
    // Disjoint routers have experts of their own, which must not share a number.
    std::set<int> seen;
    std::size_t named = 0;
    for (const json& one : all[0]["layers"][0]) {
      double sum = 0;
      for (const json& expert : one["experts"]) {
        sum += expert["weight"].get<double>();
        seen.insert(expert["expert"].get<int>());
        ++named;
      }
      EXPECT_NEAR(sum, 1, 1e-6);
    }
    if (std::string(router) == "disjoint") {
      EXPECT_EQ(seen.size(), named);
    }
    EXPECT_LE(*seen.rbegin(), std::string(router) == "disjoint" ? 12 : 3);
  }
  const Outcome text =
      ok("fuse predict joint --explain " + cells_of(lines_of(place.read("joint/predictions.csv"))[2])[0]);
  EXPECT_NE(text.out.find("joint router: E"), std::string::npos) << text.out;
}

TEST_F(Fuse, PredictSaysWhatItCannotWriteAndWritesWhatItCan) {
  train("--out run");
  const json columns = ok_json("fuse predict run --threads 1");
  const auto written = lines_of(ok("fuse predict run --threads 1").out);
  const auto names = cells_of(written.front());
  ASSERT_EQ(columns.size(), names.size());
  for (std::size_t row = 1; row < written.size(); ++row)
    for (std::size_t j = 0; j < names.size(); ++j) {
      const json& cell = columns[names[j]][row - 1];
      std::string text = cells_of(written[row])[j];
      if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
      if (cell.is_string())
        EXPECT_EQ(cell, text);
      else
        EXPECT_EQ(cell, text == "NA" ? json(nullptr) : json::parse(text)) << names[j];
    }
  const std::string id = cells_of(lines_of(place.read("run/predictions.csv"))[1])[0];
  const std::string shown = ok("fuse predict run --threads 1 --explain " + id).out;
  EXPECT_EQ(ok("fuse predict run --threads 1 --out why.txt --explain " + id).out, "");
  EXPECT_EQ(place.read("why.txt"), shown);
}

// A sign is right or wrong where outcomes take both.
TEST_F(Fuse, SignScoresAreForOutcomesOfBothSigns) {
  auto rows = lines_of(place.read("data/labels.csv"));
  for (const bool both : {false, true}) {
    std::string numbers = rows[0] + "\n";
    for (std::size_t i = 1; i < rows.size(); ++i)
      numbers += fmt::format("{},{}\n", cells_of(rows[i])[0], static_cast<double>(i % 7) + (both ? -3 : 1));
    place.write("data/labels.csv", numbers);
    json changed = spec();
    changed["target"]["kind"] = "regression";
    changed["target"].erase("positive");
    write_spec("number.json", changed);
    ok("fuse train data/number.json --epochs 1 --batch 40 --threads 1 --quiet --force --out numbers");
    const json summary = json::parse(place.read("numbers/summary.json"));
    std::set<std::string> names;
    for (const json& score : summary["test"]["scores"]) names.insert(score["score"].get<std::string>());
    EXPECT_EQ(names.count("acc2"), both ? 1U : 0U);
    EXPECT_EQ(names.count("f1_sign"), both ? 1U : 0U);
    EXPECT_EQ(names.count("rmse"), 1U);
  }
}

TEST_F(Fuse, InitSaysWhatItLeftOut) {
  place.write("data/lookup.csv", "code,meaning\n1,one\n2,two\n");
  EXPECT_NE(ok("fuse init data --out draft.json").out.find("note: lookup.csv is left out"), std::string::npos);
}

TEST_F(Fuse, OtherDataAreReadInTheRunsOwnWay) {
  train("--out run");
  make("other", 2);
  const json measured = ok_json("fuse evaluate run --data other/spec.json --replicates 0");
  EXPECT_EQ(measured["samples"], 150);
  // The order of modalities in the other specification does not matter, and outcomes may be absent.
  json turned = json::parse(place.read("other/spec.json"));
  std::reverse(turned["modalities"].begin(), turned["modalities"].end());
  place.write("other/turned.json", turned.dump());
  EXPECT_EQ(ok_json("fuse evaluate run --data other/turned.json --replicates 0"), measured);
  turned["target"]["column"] = "outcome";
  auto rows = lines_of(place.read("other/labels.csv"));
  std::string unknown = rows[0] + "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) unknown += cells_of(rows[i])[0] + ",\n";
  place.write("other/labels.csv", unknown);
  const auto predicted = lines_of(ok("fuse predict run --data other/spec.json").out);
  ASSERT_EQ(predicted.size(), 151U);
  // What is unknown is no class, wherever it stands among known ones.
  for (std::size_t i = 1; i < predicted.size(); ++i) EXPECT_EQ(cells_of(predicted[i])[1], "NA") << predicted[i];
  std::string some = rows[0] + "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) some += (i % 2 == 0 ? rows[i] : cells_of(rows[i])[0] + ",NA") + "\n";
  place.write("other/labels.csv", some);
  const auto mixed = lines_of(ok("fuse predict run --data other/spec.json").out);
  ASSERT_EQ(mixed.size(), 151U);
  for (std::size_t i = 1; i < mixed.size(); ++i)
    EXPECT_EQ(cells_of(mixed[i])[1], i % 2 == 0 ? cells_of(rows[i])[1] : "NA") << mixed[i];
  refused("fuse evaluate run --data other/spec.json --part train", {"--part", "--data"});
}

// Samples without outcome are no part of the split, whoever reads it.
TEST_F(Fuse, PredictsTheSamplesThatTrainingLeftOut) {
  auto rows = lines_of(place.read("data/labels.csv"));
  std::string some = rows[0] + ",part\n";
  for (std::size_t i = 1; i < rows.size(); ++i)
    some += (i % 4 == 0 ? cells_of(rows[i])[0] + "," : rows[i]) + (i % 5 == 0   ? ",test\n"
                                                                   : i % 7 == 0 ? ",valid\n"
                                                                                : ",train\n");
  place.write("data/labels.csv", some);
  train("--out run");
  EXPECT_EQ(ok("fuse predict run").out, place.read("run/predictions.csv"));
  json by_column = spec();
  by_column["split"] = {{"column", "part"}};
  write_spec("column.json", by_column);
  ok("fuse train data/column.json --epochs 1 --quiet --out column");
  EXPECT_EQ(ok("fuse predict column").out, place.read("column/predictions.csv"));
}

TEST_F(Fuse, FilesThatChangedAreNoLongerTheRunsOwn) {
  train("--out run");
  const std::string before = place.read("data/labels.csv");
  auto rows = lines_of(before);
  rows.resize(rows.size() - 10);
  std::string fewer;
  for (const std::string& row : rows) fewer += row + "\n";
  place.write("data/labels.csv", fewer);
  refused("fuse evaluate run", {"run", "its files do not hold the samples any more", "--data"});
  refused("fuse train --out run --resume", {"its files do not hold the samples any more"});
  place.write("data/labels.csv", before);
  ok("fuse evaluate run --replicates 0");
}

TEST_F(Fuse, MembersDisagreeAndForceReplacesThem) {
  train("--out run --members 3 --risk 0.4");
  EXPECT_TRUE(place.exists("run/members/3"));
  EXPECT_EQ(json::parse(place.read("run/summary.json"))["members"], 3);
  const auto lines = lines_of(place.read("run/predictions.csv"));
  const auto head = cells_of(lines[0]);
  const auto column = std::find(head.begin(), head.end(), "disagreement") - head.begin();
  ASSERT_LT(static_cast<std::size_t>(column), head.size());
  EXPECT_GT(std::stod(cells_of(lines[1])[static_cast<std::size_t>(column)]), 0);
  refused("fuse train data/spec.json --out run --epochs 1", {"run: the folder already holds a run", "--force"});
  train("--out run --members 2 --force");
  EXPECT_FALSE(place.exists("run/members/3"));
  EXPECT_EQ(ok_json("fuse evaluate run --threads 1"), json::parse(place.read("run/summary.json"))["test"]);
}

TEST_F(Fuse, ARunThatWasInterruptedGoesOnAsIfItHadNot) {
  const std::string options = " --epochs 12 --patience 0 --batch 40 --members 2 --threads 1 --out ";
  const auto interrupt = [&](int process) {
    // Once the first member has been evaluated twice.
    for (int i = 0; i < 6000; ++i) {
      if (place.exists("parts/members/1/metrics.jsonl") &&
          lines_of(place.read("parts/members/1/metrics.jsonl")).size() >= 2)
        break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ::kill(process, SIGINT);
  };
  const Outcome stopped = place.run("fuse train data/spec.json" + options + "parts", "", {}, interrupt);
  ASSERT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("--out parts --resume"), std::string::npos) << stopped.err;
  EXPECT_FALSE(place.exists("parts/model.json"));
  refused("fuse evaluate parts", {"parts: the run is not finished", "--resume"});
  refused("fuse train --out parts --resume --epochs 9", {"--epochs cannot change"});
  refused("fuse train --out parts --resume --seed 9", {"--seed cannot change", "not 9"});
  refused("fuse train data/spec.json --out parts --resume", {"spec", "leave it out"});
  ok("fuse train --out parts --resume --threads 1 --quiet");
  ok("fuse train data/spec.json" + options + "whole");
  EXPECT_EQ(place.read("parts/predictions.csv"), place.read("whole/predictions.csv"));
  EXPECT_EQ(place.read("parts/model.json"), place.read("whole/model.json"));
}

TEST_F(Fuse, SweepTrainsEveryVariantOnceOnEverySplit) {
  const std::string line =
      "fuse sweep data/spec.json --vary router=joint,disjoint --splits 2 --missing 0:0.4:0.4 "
      "--epochs 1 --batch 40 --processes 2 --out study";
  const json first = ok_json(line);
  EXPECT_EQ(first["runs"], 4);
  ASSERT_EQ(first["rows"].size(), 2U);
  EXPECT_EQ(first["rows"][0]["variant"], "router=joint");
  const std::string runs = place.read("study/runs.jsonl");
  EXPECT_EQ(lines_of(runs).size(), 4U);
  std::set<std::string> names;
  for (const std::string& run : lines_of(runs)) {
    const json one = json::parse(run);
    EXPECT_EQ(one["rates"].size(), 2U);
    EXPECT_NEAR(one["test_share"].get<double>(), 30.0 / 105, 1e-12);
    names.insert(one["variant"].get<std::string>() + std::to_string(one["split"].get<int>()));
  }
  EXPECT_EQ(names.size(), 4U);
  // Nothing is left to train: the same table, and the file as it was.
  EXPECT_EQ(ok_json(line), first);
  EXPECT_EQ(place.read("study/runs.jsonl"), runs);
  // A crash tore the last line: that run alone is done again, with the same scores.
  place.write("study/runs.jsonl", runs.substr(0, runs.size() - 20));
  json again = ok_json(line);
  EXPECT_EQ(lines_of(place.read("study/runs.jsonl")).size(), 4U);
  EXPECT_EQ(again["rows"][0]["cells"], first["rows"][0]["cells"]);
  EXPECT_EQ(again["rows"][1]["cells"], first["rows"][1]["cells"]);
  refused("fuse sweep data/spec.json --out study --epochs 2 --missing 0:0.4:0.4 --vary router=joint",
          {"study: holds a study with another 'train'", "--force"});
}

TEST_F(Fuse, SweepOfARunTakesModalitiesAway) {
  train("--out run");
  const json swept = ok_json("fuse sweep run --missing 0:0.8:0.4 --splits 2");
  const json& cells = swept["rows"][0]["cells"];
  EXPECT_EQ(cells[0]["missing"], 0);
  EXPECT_EQ(cells[0]["deviation"], 0) << "nothing was taken away";
  const json evaluated = ok_json("fuse evaluate run --replicates 0");
  EXPECT_NEAR(cells[0]["mean"].get<double>(), evaluated["scores"][0]["value"].get<double>(), 1e-12);
  refused("fuse sweep run --vary gate=softmax", {"--vary does not apply to a run that is trained already"});
  refused("fuse sweep run --experts 3", {"--experts does not apply to a run that is trained already"});
}

TEST_F(Fuse, TwoRunsOnTheSameSamples) {
  train("--out one");
  train("--out two --method concat");
  const json both = ok_json("fuse evaluate one --against two --replicates 50");
  const json one = json::parse(place.read("one/summary.json"))["test"]["scores"];
  const json two = json::parse(place.read("two/summary.json"))["test"]["scores"];
  ASSERT_EQ(both["differences"].size(), one.size());
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(both["differences"][i]["first"], one[i]["value"]);
    EXPECT_EQ(both["differences"][i]["second"], two[i]["value"]);
  }
  const json plain = ok_json("fuse evaluate one --against two --replicates 0")["differences"];
  EXPECT_EQ(plain[0]["first"], one[0]["value"]);
  EXPECT_FALSE(plain[0].contains("low")) << "no intervals were asked for";
  json other = spec();
  other["target"]["positive"] = "0";
  write_spec("turned.json", other);
  ok("fuse train data/turned.json --epochs 1 --quiet --out turned");
  refused("fuse evaluate one --against turned", {"one", "turned", "predict different outcomes"});
}

TEST_F(Fuse, AFirstDraftTrains) {
  // Paths start from where the draft lies: in the folder, above it, in another one, where standard output goes.
  ok("fuse init data --out data/draft.json");
  ok("fuse init data --out draft.json");
  place.write("elsewhere.json", ok("fuse init data --out -").out);
  std::filesystem::create_directory(place.folder() / "deep");
  ok("fuse init ./data/ --out deep/draft.json");
  for (const char* draft : {"data/draft.json", "draft.json", "elsewhere.json", "deep/draft.json"})
    ok(std::string("fuse train ") + draft + " --epochs 1 --quiet");
}

// Trained and kept; nothing to evaluate, predict or compare.
TEST_F(Fuse, NoTestSamples) {
  json no_test = spec();
  no_test["split"] = {{"train", 0.8}, {"valid", 0.2}, {"test", 0}};
  write_spec("no-test.json", no_test);
  ok("fuse train data/no-test.json --epochs 1 --quiet --out run");
  refused("fuse evaluate run", {"no samples with a known outcome"});
  refused("fuse predict run", {"there are no samples to predict"});
  refused("fuse sweep run", {"no test samples"});
  refused("fuse sweep data/no-test.json --epochs 1 --splits 1", {"no sample is left for test"});
}

TEST_F(Fuse, OneClassToChooseByOneModalityAndOneTestSample) {
  auto rows = lines_of(place.read("data/labels.csv"));
  std::string text = rows[0] + ",part\n";
  bool tested = false;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const bool event = cells_of(rows[i])[1] == "1";
    text += rows[i] + (!event && i < 40 ? ",valid\n" : event && !tested ? ",test\n" : ",train\n");
    tested = tested || event;
  }
  place.write("data/labels.csv", text);
  json one_sided = spec();
  one_sided["split"] = {{"column", "part"}};
  write_spec("one-sided.json", one_sided);
  ok("fuse train data/one-sided.json --epochs 1 --quiet --modalities rhythm --out small");
  EXPECT_EQ(ok_json("fuse evaluate small")["samples"], 1);
  refused("fuse train data/one-sided.json --epochs 1 --choose score", {"choose must be loss", "no auroc"});
}

TEST_F(Fuse, ALossThatIsNotFiniteIsNoModel) {
  const std::string steep = "data/spec.json --epochs 1 --batch 1000 --learning-rate 1e30 --clip 0 ";
  const Outcome outcome = place.run("fuse train --out run " + steep);
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("--learning-rate"), std::string::npos) << outcome.err;
  EXPECT_FALSE(place.exists("run/model.json"));
  const Outcome sweep = place.run("fuse sweep --splits 1 --vary missing-policy=zero " + steep);
  EXPECT_EQ(sweep.code, 1) << sweep.err;
  EXPECT_NE(sweep.err.find("missing-policy=zero: the loss is not finite any more"), std::string::npos) << sweep.err;
}

TEST_F(Fuse, MistakesOfTrainingSayWhatIsWrong) {
  refused("fuse train --out run", {"spec is missing", "clearway fuse init"});
  refused("fuse train nowhere.json", {"nowhere.json"});
  json changed = spec();
  changed["fusion"] = {{"expertz", 3}};
  write_spec("key.json", changed);
  refused("fuse train data/key.json", {"fusion", "expertz", "experts"});
  changed = spec();
  changed.erase("target");
  write_spec("target.json", changed);
  refused("fuse train data/target.json", {"target is missing"});
  refused("fuse train data/spec.json --top-k 7", {"top-k must be at most the number of experts, 6, not 7"});
  refused("fuse train data/spec.json --modalities rhytm", {"no modality 'rhytm'", "rhythm"});
  refused("fuse train data/spec.json --missing-policy zer", {"missing-policy", "zer", "zero"});
  EXPECT_FALSE(place.exists("run"));
}

TEST_F(Fuse, MistakesOfReadingARunSayWhatIsWrong) {
  train("--out run");
  refused("fuse evaluate data", {"data: holds no run"});
  refused("fuse evaluate nowhere", {"nowhere: there is no such run folder"});
  place.write("config.json", "{\"command\": \"fit\"}");
  refused("fuse predict .", {"is no run of clearway fuse train"});
  place.write("config.json", "[1]");
  refused("fuse predict .", {"is no run of clearway fuse train"});
  refused("fuse predict run --explain nobody", {"explain: there is no sample 'nobody'"});
  refused("fuse train --resume", {"--resume needs --out"});
}

TEST_F(Fuse, MistakesOfASweepSayWhatIsWrong) {
  refused("fuse sweep data/spec.json --vary gats=softmax", {"vary: there is no option 'gats'", "gate"});
  refused("fuse sweep data/spec.json --vary gate=softmx", {"gate", "softmx"});
  refused("fuse sweep data/spec.json --vary modalities=rhythm+scam", {"no modality 'scam'", "scan"});
  refused("fuse sweep data/spec.json --missing 0:2", {"missing must go up within [0, 1)", "0:2"});
  refused("fuse sweep data/spec.json --vary experts=1,2 --top-k 2 --splits 1 --epochs 1",
          {"top-k must be at most the number of experts, 1, not 2"});
}

TEST_F(Fuse, RiskNeedsAClassThatCanAbstain) {
  json changed = spec();
  changed["target"]["kind"] = "regression";
  write_spec("number.json", changed);
  refused("fuse train data/number.json --risk 0.1", {"risk must be 0", "regression", "0.1"});
  ok("fuse train data/number.json --epochs 1 --quiet --out run");
  const auto head = cells_of(lines_of(place.read("run/predictions.csv"))[0]);
  EXPECT_EQ(head, (std::vector<std::string>{"id", "outcome_outcome", "outcome", "outcome_sd", "outcome_low",
                                            "outcome_high", "modalities"}));
}

}  // namespace
}  // namespace clearway::golden
