// clearway simulate, fit, compare and study hand in hand.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

TEST(Simulate, WritesTheSameBytesAndHidesTheLabels) {
  const Workplace place;
  const std::string line = "simulate --experts 2 --dim 3 --rows 40 --seed 7";
  const Outcome first = place.run(line);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first_line(first.out), "y,x1,x2,x3");
  EXPECT_EQ(place.run(line).out, first.out);
  EXPECT_NE(place.run("simulate --experts 2 --dim 3 --rows 40 --seed 8").out, first.out);
  EXPECT_EQ(first_line(place.run(line + " --with-labels").out), "y,x1,x2,x3,z");
  EXPECT_EQ(first_line(place.run("simulate --scenario binom --rows 5").out), "y,trials,x1");
  EXPECT_EQ(first_line(place.run("simulate --scenario vector --rows 5 --dim 4 --experts 2").out), "y1,y2,x1,x2,x3,x4");
}

// 0.1 sqrt(d k / n) = 0.01 is the size of the errors here; ten of them.
TEST(Compare, AFitOfASimulationIsNearItsTruth) {
  const Workplace place;
  ASSERT_EQ(place.run("simulate --experts 2 --dim 4 --rows 800 --out data.csv --truth truth.json").code, 0);
  ASSERT_EQ(place.run("fit data.csv --target y --experts 2 --out run --quiet").code, 0);
  const Outcome outcome = place.run("compare run --truth truth.json --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_LT(result.at("regressor_error").get<double>(), 0.1);
  EXPECT_LT(result.at("sigma_error").get<double>(), 0.02);  // sigma / sqrt(2 n) = 0.0025
  EXPECT_EQ(result.at("experts").size(), 2U);
  EXPECT_NE(place.run("compare run --truth truth.json").out.find("regressor error"), std::string::npos);

  const json same = json::parse(place.run("compare run run --json").out);
  EXPECT_EQ(same.at("regressor_error").get<double>(), 0.0);
  EXPECT_EQ(same.at("gate_error").get<double>(), 0.0);
}

TEST(Compare, NeedsOneThingToCompareWith) {
  const Workplace place;
  const Outcome outcome = place.run("compare run");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("--truth"), std::string::npos);
  place.write("truth.json", "{}");
  EXPECT_EQ(place.run("compare run --truth truth.json").code, 2);
}

TEST(Study, WritesARunFolder) {
  const Workplace place;
  const Outcome outcome = place.run(
      "study gridlock --experts 2 --g linear --trials 2 --rows 500 --dim 4 --limits=false --out study --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  ASSERT_EQ(result.at("cells").size(), 1U);
  EXPECT_EQ(result.at("cells")[0].at("methods").at("em-zero").at("runs"), 2);
  for (const char* file : {"config.json", "summary.txt", "summary.json", "trials.csv", "trace.csv"})
    EXPECT_TRUE(place.exists(std::string("study/") + file)) << file;
  EXPECT_EQ(json::parse(place.read("study/config.json")).at("trials"), 2);
  EXPECT_EQ(first_line(place.read("study/trace.csv")), "cell,g,experts,rows,method,iteration,median_regressor_error");
}

TEST(Study, TheExactRowsOfTheAcceptanceTableAreMet) {
  const Workplace place;
  const Outcome outcome = place.run("study acceptance --checks 1,2,17 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_TRUE(result.at("all_met").get<bool>());
  EXPECT_EQ(place.run("study acceptance --checks 19").code, 2);
}

// Stopped after three fits (and in the middle of a line), started again: the same bytes as in one go.
TEST(Study, RatesGoOnWhereTheyStopped) {
  const Workplace place;
  const std::string line =
      "study rates --preset softmax-gauss --rows 100,200 --trials 2 --starts 1 --resamples 20 --out ";
  const Outcome whole = place.run(line + "whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_NE(whole.out.find("\n3 fitted experts\n"), std::string::npos);
  ASSERT_EQ(place.run(line + "parts").code, 0);
  const std::string table = place.read("whole/trials.csv");
  std::size_t end = 0;
  for (int i = 0; i < 4; ++i) end = table.find('\n', end) + 1;
  place.write("parts/trials.csv", table.substr(0, end + 30));
  const Outcome resumed = place.run(line + "parts --threads 2");
  EXPECT_EQ(resumed.code, 0);
  EXPECT_EQ(resumed.err, "3 fits are there already; going on\n");
  EXPECT_EQ(resumed.out, whole.out);
  for (const char* file : {"/trials.csv", "/summary.json"})
    EXPECT_EQ(place.read(std::string("parts") + file), place.read(std::string("whole") + file)) << file;
  const Outcome other = place.run(line + "parts --trials 3");
  EXPECT_EQ(other.code, 2);
  EXPECT_EQ(
      other.err,
      "clearway study rates: parts: the folder holds a run with other options: trials is 2 there and 3 here; choose "
      "another folder, or replace it with --force\n");
  EXPECT_EQ(place.run(line + "parts --trials 3 --force").code, 0);
}

TEST(Study, EachStudyIsACommandOfItsOwn) {
  const Workplace place;
  const Outcome wrong = place.run("study gridlok");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_TRUE(wrong.err.starts_with("clearway: study needs one of gridlock, ")) << wrong.err;
  EXPECT_TRUE(wrong.err.ends_with(", not 'gridlok' (did you mean 'gridlock'?)\n")) << wrong.err;
  EXPECT_EQ(place.run("study").code, 2);
  EXPECT_EQ(place.run("study-gridlock --help").out, place.run("help study gridlock").out);
  place.write("options.toml", "[study.gridlock]\ntrials = 0\n");
  EXPECT_EQ(place.run("study gridlock --config options.toml").err,
            "clearway study gridlock: trials must be at least 1, not 0\n");
}

}  // namespace
}  // namespace clearway::golden
