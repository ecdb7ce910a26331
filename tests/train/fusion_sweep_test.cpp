// Sweeps: what is varied, and the table against numbers worked out by hand.
#include "clearway/train/fusion_sweep.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "clearway/deep/fusion_options.hpp"
#include "clearway/train/fusion_options.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using testing_io::message_of;

std::vector<std::string> names_of(const std::vector<std::string>& vary) {
  std::vector<std::string> out;
  for (const FusionVariant& variant : fusion_variants(vary)) out.push_back(variant.name);
  return out;
}

TEST(FusionVariants, AreAllCombinationsInOrder) {
  EXPECT_EQ(names_of({"gate=softmax", "laplace", "router=joint"}),
            (std::vector<std::string>{"gate=softmax router=joint", "gate=laplace router=joint"}));
  EXPECT_EQ(names_of({"a=1", "2", "b=x", "y"}), (std::vector<std::string>{"a=1 b=x", "a=1 b=y", "a=2 b=x", "a=2 b=y"}));
  EXPECT_EQ(names_of({}), std::vector<std::string>{"as specified"});
  EXPECT_TRUE(fusion_variants({}).front().settings.empty());
}

TEST(FusionVariants, RefuseInWords) {
  const auto said = [](const std::vector<std::string>& vary) { return message_of([&] { fusion_variants(vary); }); };
  EXPECT_EQ(said({"softmax"}), "vary must begin with NAME=VALUE, not 'softmax'");
  EXPECT_EQ(said({"=softmax"}), "vary must be NAME=VALUE, not '=softmax'");
  EXPECT_EQ(said({"gate="}), "vary must be NAME=VALUE, not 'gate='");
  EXPECT_EQ(said({"gate=softmax", ""}), "vary: a value of 'gate' is empty");
  EXPECT_EQ(said({"gate=softmax", "gate=laplace"}), "vary names 'gate' twice; write gate=A,B");
  EXPECT_EQ(said({"gate=softmax", "laplace", "softmax"}), "vary names gate=softmax twice");
}

TEST(FusionVariants, SetOptionsOfAnyType) {
  const FusionVariant variant{"v",
                              {{"gate", "softmax"},
                               {"experts", "3"},
                               {"dropout", "0.5"},
                               {"mask", "false"},
                               {"epochs", "7"},
                               {"color", "red"}}};
  deep::FusionOptions model;
  FusionTrainingOptions training;
  std::vector<std::string> used;
  apply_variant(variant, model, used);
  apply_variant(variant, training, used);
  EXPECT_EQ(model.gate, deep::FusionGate::softmax);
  EXPECT_EQ(model.experts, 3);
  EXPECT_EQ(model.dropout, 0.5);
  EXPECT_FALSE(model.mask);
  EXPECT_EQ(training.epochs, 7);
  EXPECT_EQ(used.size(), 5U) << "color is nobody's";
  const auto refused = [&](const std::string& name, const std::string& value) {
    return message_of([&] { apply_variant({"v", {{name, value}}}, model, used); });
  };
  EXPECT_NE(refused("gate", "softmx").find("softmx"), std::string::npos) << refused("gate", "softmx");
  EXPECT_NE(refused("experts", "0").find("experts"), std::string::npos) << refused("experts", "0");
  EXPECT_NE(refused("experts", "many").find("experts"), std::string::npos) << refused("experts", "many");
}

TEST(MissingRates, CountUp) {
  EXPECT_EQ(missing_rates("0.3"), std::vector<double>{0.3});
  EXPECT_EQ(missing_rates("0:0.6"), (std::vector<double>{0, 0.2, 0.4, 0.6}));
  EXPECT_EQ(missing_rates("0:0.8:0.4"), (std::vector<double>{0, 0.4, 0.8}));
  EXPECT_EQ(missing_rates("0:0.5:0.3"), (std::vector<double>{0, 0.3}));
  EXPECT_EQ(missing_rates("0.1:0.9:0.1").size(), 9U);  // tenths do not add up exactly
}

TEST(MissingRates, RefuseInWords) {
  for (const char* text : {"", "x", "0:", ":0.5", "0.1x", "0:0.2:0.1:0.1", "0;0.5"})
    EXPECT_NE(message_of([&] { missing_rates(text); }).find("RATE, FIRST:LAST or FIRST:LAST:STEP"), std::string::npos)
        << text;
  for (const char* text : {"1", "-0.1", "0.5:0.2", "0:0.5:0", "0:0.5:-1", "nan", "0:nan", "0:0.5:nan", "0:0.9:0.0001"})
    EXPECT_NE(message_of([&] { missing_rates(text); }).find("within [0, 1) in at most 100 steps"), std::string::npos)
        << text;
}

FusionSweepRun run_of(const std::string& variant, std::int64_t split, double auroc, double degraded,
                      double test_share = 0.25) {
  FusionSweepRun run;
  run.variant = variant;
  run.split = split;
  run.test_share = test_share;
  run.parameters = variant == "a" ? 100 : 300;
  run.epochs = 4 + split;
  run.seconds = 2;
  run.rates = {{0, {{"auroc", auroc}, {"brier", 0.1}}}, {0.4, {{"auroc", degraded}}}};
  return run;
}

const std::vector<FusionVariant> kVariants = {{"a", {}}, {"b", {}}, {"c", {}}};

// b - a: 0.02, 0.05, -0.01: mean 0.02, s = 0.03; standard error sqrt((1/3 + 1/4) 0.0009), t at 0.975 on 2 degrees 4.302653.
TEST(FusionSweepTable, IsWhatAHandComputes) {
  const std::vector<FusionSweepRun> runs = {
      run_of("b", 2, 0.79, 0.6), run_of("a", 0, 0.80, 0.7), run_of("a", 1, 0.75, 0.7),
      run_of("b", 0, 0.82, 0.6), run_of("a", 2, 0.80, 0.7), run_of("b", 1, 0.80, 0.6),
  };
  const auto rows = fusion_sweep_table(runs, kVariants);
  ASSERT_EQ(rows.size(), 2U) << "c has no runs";
  EXPECT_EQ(rows[0].variant, "a");
  EXPECT_EQ(rows[1].variant, "b");
  EXPECT_DOUBLE_EQ(rows[1].parameters, 300);
  EXPECT_DOUBLE_EQ(rows[1].epochs, 5);
  const FusionSweepCell* cell = rows[1].find("auroc", 0);
  ASSERT_NE(cell, nullptr);
  EXPECT_EQ(cell->runs, 3);
  EXPECT_EQ(cell->pairs, 3);
  EXPECT_NEAR(cell->mean, (0.79 + 0.82 + 0.80) / 3, 1e-12);
  EXPECT_NEAR(cell->deviation, std::sqrt((0.0001777777777777778 + 0.0002777777777777778 + 0.0000111111111111111) / 2),
              1e-9);
  EXPECT_NEAR(cell->difference, 0.02, 1e-12);
  const double half = 4.302653 * std::sqrt((1.0 / 3 + 0.25) * 0.0009);
  EXPECT_NEAR(cell->low, 0.02 - half, 1e-7);
  EXPECT_NEAR(cell->high, 0.02 + half, 1e-7);
  EXPECT_TRUE(cell->within_noise);
  const FusionSweepCell* worse = rows[1].find("auroc", 0.4);
  ASSERT_NE(worse, nullptr);
  EXPECT_NEAR(worse->difference, -0.1, 1e-12);
  EXPECT_FALSE(worse->within_noise) << "the same difference in every split";
  EXPECT_EQ(rows[1].find("auroc", 0.2), nullptr);
  EXPECT_EQ(rows[1].find("accuracy", 0), nullptr);

  // Runs end in any order: not a bit may depend on it.
  const std::vector<FusionSweepRun> backwards(runs.rbegin(), runs.rend());
  EXPECT_EQ(json_text(fusion_sweep_json(fusion_sweep_table(backwards, kVariants))), json_text(fusion_sweep_json(rows)));
}

TEST(FusionSweepTable, SplitsThatOneVariantLacksAndScoresThatASplitLacks) {
  std::vector<FusionSweepRun> runs = {run_of("a", 0, 0.8, 0.7), run_of("a", 1, 0.7, 0.7), run_of("b", 1, 0.9, 0.7),
                                      run_of("b", 2, 0.6, 0.5)};
  runs[0].rates[0].second.erase(runs[0].rates[0].second.begin());  // one class only in that test set
  const auto rows = fusion_sweep_table(runs, kVariants);
  ASSERT_NE(rows[0].find("auroc", 0), nullptr) << "the first split has no AUROC, the second has";
  EXPECT_EQ(rows[0].find("auroc", 0)->runs, 1);
  EXPECT_EQ(rows[0].find("brier", 0)->runs, 2);
  const FusionSweepCell* cell = rows[1].find("auroc", 0);
  EXPECT_EQ(cell->runs, 2);
  EXPECT_EQ(cell->pairs, 1);
  EXPECT_NEAR(cell->difference, 0.2, 1e-12);
  EXPECT_TRUE(cell->within_noise) << "one pair tells nothing";
}

TEST(FusionSweepTable, InWordsAndAsJson) {
  std::vector<FusionSweepRun> runs;
  for (std::int64_t split = 0; split < 2; ++split) {
    runs.push_back(run_of("a", split, 0.8, 0.7));
    runs.push_back(run_of("b", split, 0.9 + 0.01 * static_cast<double>(split), 0.7));
  }
  const auto rows = fusion_sweep_table(runs, kVariants);
  const std::string text = fusion_sweep_text(rows, fusion::TargetKind::binary);
  EXPECT_NE(text.find("auroc at 40 % missing"), std::string::npos) << text;
  EXPECT_NE(text.find("0.9050±0.0071"), std::string::npos) << text;
  EXPECT_NE(text.find("+0.1050 ["), std::string::npos) << text;
  const std::string markdown = fusion_sweep_markdown(rows, fusion::TargetKind::binary);
  EXPECT_EQ(std::count(markdown.begin(), markdown.end(), '\n'), 4);
  const Json json = fusion_sweep_json(rows);
  EXPECT_EQ(json[1]["variant"], "b");
  EXPECT_EQ(json[1]["cells"][0]["pairs"], 2);
  EXPECT_EQ(fusion_sweep_text({}, fusion::TargetKind::binary), "no runs\n");
}

TEST(FusionSweepRun, ComesBackFromJson) {
  FusionSweepRun run = run_of("missing-policy=zero gate=softmax", 3, 0.1 + 0.2, 1.0 / 3, 2.0 / 7);
  run.rates[0].second.emplace_back("log_loss", 1e-300);
  const FusionSweepRun back = fusion_run_from_json(parse_json(json_text(fusion_run_json(run), -1), "line"), "line");
  EXPECT_EQ(back.variant, run.variant);
  EXPECT_EQ(back.split, run.split);
  EXPECT_EQ(back.test_share, run.test_share);
  EXPECT_EQ(back.parameters, run.parameters);
  EXPECT_EQ(back.epochs, run.epochs);
  EXPECT_EQ(back.seconds, run.seconds);
  ASSERT_EQ(back.rates.size(), run.rates.size());
  for (std::size_t i = 0; i < run.rates.size(); ++i) {
    EXPECT_EQ(back.rates[i].first, run.rates[i].first);
    const std::map<std::string, double> found(back.rates[i].second.begin(), back.rates[i].second.end());
    const std::map<std::string, double> wanted(run.rates[i].second.begin(), run.rates[i].second.end());
    EXPECT_EQ(found, wanted);
  }
}

TEST(FusionSweepRun, RefusesOtherJson) {
  const Json good = fusion_run_json(run_of("a", 0, 0.5, 0.5));
  const auto said = [&](const std::string& key, const Json& value) {
    Json bad = good;
    bad[key] = value;
    return message_of([&] { fusion_run_from_json(bad, "runs.jsonl"); });
  };
  EXPECT_NE(said("split", -1).find("split"), std::string::npos) << said("split", -1);
  EXPECT_EQ(said("rates", 7), "runs.jsonl: rates: must be a list");
  EXPECT_EQ(said("rates", Json::array({7})), "runs.jsonl: rates: must be a list of scores by name");
  EXPECT_EQ(said("rates", Json::array({{{"auroc", "high"}}})), "runs.jsonl: rates: auroc is not a number");
  EXPECT_NE(said("colour", 1).find("colour"), std::string::npos);
}

}  // namespace
}  // namespace clearway::train
