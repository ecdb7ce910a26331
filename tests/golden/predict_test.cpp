// clearway predict: the columns, their meaning, the order of the rows.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

class Predict : public testing::Test {
 protected:
  void SetUp() override {
    place_.write("data.csv", two_experts_csv(300));
    ASSERT_EQ(place_.run("fit data.csv --target y --experts-on x1,x2 --experts 2 --out run --quiet").code, 0);
    place_.write("new.csv", "id,x1,x2\nb,1.5,0\na,-1.5,1\nc,0,0\n");
  }
  Outcome run(const std::string& line, const std::string& input = {}) const { return place_.run(line, input); }
  Workplace place_;
};

TEST_F(Predict, HeaderAndOrderOfRows) {
  const Outcome outcome = run("predict run new.csv --keep id");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(first_line(outcome.out), "id,mean,q0.05,q0.5,q0.95,expert,gate_1,gate_2,mean_1,mean_2");
  std::istringstream lines(outcome.out);
  std::string ids;
  for (std::string line; std::getline(lines, line);) ids += line.substr(0, line.find(',')) + " ";
  EXPECT_EQ(ids, "id b a c ");
  EXPECT_EQ(first_line(run("predict run new.csv --quantiles none").out), "mean,expert,gate_1,gate_2,mean_1,mean_2");
  EXPECT_EQ(first_line(run("predict run/model.json new.csv --quantiles 0.25").out),
            "mean,q0.25,expert,gate_1,gate_2,mean_1,mean_2");
}

TEST_F(Predict, NumbersFitTogether) {
  const json table = json::parse(run("predict run data.csv --json").out);
  for (std::size_t t = 0; t < 300; ++t) {
    const double gate[2] = {table["gate_1"][t], table["gate_2"][t]};
    const double mean[2] = {table["mean_1"][t], table["mean_2"][t]};
    const double posterior[2] = {table["responsibility_1"][t], table["responsibility_2"][t]};
    EXPECT_NEAR(gate[0] + gate[1], 1.0, 1e-14);
    EXPECT_NEAR(posterior[0] + posterior[1], 1.0, 1e-12);  // exp of differences of log densities of order 10
    EXPECT_NEAR(table["mean"][t], gate[0] * mean[0] + gate[1] * mean[1], 1e-13 * 10);
    EXPECT_EQ(table["expert"][t], gate[0] >= gate[1] ? 1 : 2);
    EXPECT_LE(table["q0.05"][t], table["q0.5"][t]);
    EXPECT_LE(table["q0.5"][t], table["q0.95"][t]);
  }
  // The log densities of the rows of the fit add up to its log-likelihood: 300 terms of order 1, each exact to 1e-15.
  double sum = 0;
  for (const json& value : table["log_density"]) sum += value.get<double>();
  EXPECT_NEAR(sum, json::parse(place_.read("run/summary.json"))["log_likelihood"], 1e-9);
}

TEST_F(Predict, IntervalsStandBesideWhatTheyAreOf) {
  const std::string predict = "predict run new.csv --quantiles none --json --interval ";
  const json confidence = json::parse(run(predict + "confidence --effects x1").out);
  const json band = json::parse(run(predict + "band").out);
  const json prediction = json::parse(run(predict + "prediction").out);
  const json hdr = json::parse(run(predict + "hdr").out);
  for (std::size_t t = 0; t < 3; ++t) {
    for (const std::string name : {"mean", "gate_1", "gate_2", "mean_1", "mean_2"}) {
      EXPECT_LT(confidence[name + "_low"][t], confidence[name][t]) << name;
      EXPECT_GT(confidence[name + "_high"][t], confidence[name][t]) << name;
      EXPECT_LE(band[name + "_low"][t], confidence[name + "_low"][t]) << name;  // three rows at once
    }
    EXPECT_GT(confidence["effect_x1_se"][t], 0.0);
    EXPECT_LT(prediction["prediction_low"][t], prediction["prediction_high"][t]);
    EXPECT_LT(hdr["hdr_1_low"][t], hdr["hdr_1_high"][t]);
  }
  const Outcome refused =
      run("fit data.csv --target y --experts-on x1,x2 --experts 2 --standard-errors none --out bare --quiet");
  ASSERT_EQ(refused.code, 0) << refused.err;
  const Outcome without = run("predict bare new.csv --interval confidence");
  EXPECT_EQ(without.code, 2);
  EXPECT_NE(without.err.find("--standard-errors"), std::string::npos) << without.err;
}

TEST_F(Predict, RowsWithoutResponseOrInputHoldNA) {
  place_.write("holes.csv", "y,x1,x2\n3,1,0\nNA,1,0\n");
  const json table = json::parse(run("predict run holes.csv --json").out);
  EXPECT_TRUE(table["log_density"][0].is_number());
  EXPECT_TRUE(table["log_density"][1].is_null());
  EXPECT_EQ(table["mean"][0], table["mean"][1]);

  place_.write("blind.csv", "x1,x2\n1,0\n,0\n1,0\n");
  const Outcome refused = run("predict run blind.csv");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("line 3"), std::string::npos) << refused.err;
  const json kept = json::parse(run("predict run blind.csv --missing na --json").out);
  EXPECT_TRUE(kept["mean"][1].is_null());
  EXPECT_EQ(kept["mean"][0], kept["mean"][2]);
}

TEST_F(Predict, FilesPipesAndDigits) {
  ASSERT_EQ(run("predict run new.csv --out p.csv").code, 0);
  EXPECT_EQ(place_.read("p.csv"), run("predict run -", place_.read("new.csv")).out);
  EXPECT_EQ(run("predict run new.csv --out p.csv").code, 2) << "the file is there already";
  EXPECT_EQ(run("predict run new.csv --out p.csv --force --sig-figs 3").code, 0);
  EXPECT_LT(place_.read("p.csv").size(), run("predict run new.csv").out.size());
}

TEST_F(Predict, ClassesHaveProbabilities) {
  std::string text = "kind,x\n";
  for (int t = 0; t < 90; ++t) {
    const double x = t / 30.0 - 1.5;
    const char* const kind = t % 7 == 0 ? "red" : (x < -0.3 ? "blue" : (x < 0.6 ? "green" : "red"));
    text += std::string(kind) + "," + std::to_string(x) + "\n";
  }
  place_.write("kinds.csv", text);
  ASSERT_NE(run("fit kinds.csv --target kind --expert multinomial --experts 1 --out kinds --quiet").code, 2);
  const Outcome outcome = run("predict kinds kinds.csv");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(first_line(outcome.out),
            "probability_blue,probability_green,probability_red,class,expert,gate_1,probability_1_blue,"
            "probability_1_green,probability_1_red,log_density,responsibility_1");
  EXPECT_EQ(run("predict kinds kinds.csv --quantiles 0.5").code, 2);
}

TEST_F(Predict, MistakesAreNamed) {
  place_.write("bad.csv", "x1,x2\n1,2\n3,abc\n");
  place_.write("less.csv", "x1\n1\n");
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"predict", "run is missing"},
      {"predict run", "new.csv is missing"},
      {"predict nowhere new.csv", "nowhere"},
      {"predict run absent.csv", "absent.csv"},
      {"predict run bad.csv", "line 3"},
      {"predict run less.csv", "x2"},
      {"predict run new.csv --keep idd", "did you mean 'id'?"},
      {"predict run new.csv --quantiles 1.5", "quantiles must be at most 1, not 1.5"},
      {"predict run new.csv --quantiles 0.5,,0.9", "has an empty element"},
      {"predict run new.csv --quantiles 0", "quantiles must be above 0, not 0"},
      {"predict data.csv new.csv", "data.csv"},
  };
  for (const auto& [line, word] : mistakes) {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, 2) << line << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << line;
    EXPECT_NE(outcome.err.find(word), std::string::npos) << line << "\n" << outcome.err << "lacks " << word;
  }
}

}  // namespace
}  // namespace clearway::golden
