// clearway bootstrap, test and diagnose as users meet them.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

class Resampling : public testing::Test {
 protected:
  void SetUp() override {
    place_.write("data.csv", two_experts_csv(150));
    ASSERT_EQ(place_.run("fit data.csv --target y --experts-on x1 --experts 2 --out run --quiet").code, 0);
  }
  Workplace place_;
};

TEST_F(Resampling, BootstrapPrintsAndKeepsReplications) {
  const Outcome outcome = place_.run(
      "bootstrap run data.csv --replications 5 --data-starts 1 --json --predict data.csv "
      "--predictions-out bands.csv");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["used"], 5);
  EXPECT_EQ(result["values"][0]["part"], "expert 1");
  EXPECT_GT(result["values"][0]["standard_error"], 0);
  EXPECT_EQ(result["predictions"].size(), 150U);
  EXPECT_EQ(first_line(place_.read("run/replications.csv")),
            "replication,used,converged,degenerate,separated,ambiguous,agreement,log_likelihood,"
            "expert 1: (intercept),expert 1: x1,expert 1: sigma,expert 2: (intercept),expert 2: x1,expert 2: sigma,"
            "gate 1: (intercept),gate 1: x1");
  EXPECT_EQ(first_line(place_.read("bands.csv")), "mean,standard_error,low,high");
  const Outcome again = place_.run("bootstrap run data.csv --replications 5");
  EXPECT_EQ(again.code, 2);
  EXPECT_NE(again.err.find("replications.csv is there already; --force replaces it"), std::string::npos);
  EXPECT_EQ(place_.run("bootstrap run data.csv --replications 5 --kind parametric --cluster x2 --force").code, 2);
}

// Runs and tables described by a formula; the knots of the run are kept on another table.
TEST_F(Resampling, TestTakesFormulasAndConstraints) {
  ASSERT_EQ(place_
                .run({"fit", "data.csv", "--formula", "y ~ x1 + ns(x2, 2) | x1", "--experts", "2", "--out", "curve",
                      "--quiet"})
                .code,
            0);
  const auto test = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "test");
    for (const char* word : {"--replications", "0", "--json"}) words.emplace_back(word);
    const Outcome outcome = place_.run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out);
  };
  const json fixed = test({"data.csv", "--formula", "y ~ x1 + x2 | x1", "--fix", "x2=0", "--against-free"});
  const json formulas = test({"data.csv", "--formula", "y ~ x1 | x1", "--against-formula", "y ~ x1 + x2 | x1"});
  EXPECT_NEAR(fixed["statistic"], formulas["statistic"], 1e-5);
  EXPECT_EQ(fixed["degrees_of_freedom"], 2);
  const json line = test({"data.csv", "--formula", "y ~ x1 + x2 | x1", "--against-formula", "y ~ x1 + ns(x2, 2) | x1"});
  EXPECT_EQ(line["degrees_of_freedom"], 2);  // a straight line is one of the splines
  EXPECT_TRUE(line["regular"]);
  place_.write("other.csv", two_experts_csv(90));
  EXPECT_EQ(test({"curve", "other.csv", "--against-formula", "y ~ x1 + ns(x2, 2) + x1:x2 | x1"})["degrees_of_freedom"],
            2);
  const Outcome wald = place_.run({"test", "curve", "data.csv", "--wald", "expert 1: ns(x2,2)", "--json"});
  ASSERT_EQ(wald.code, 0) << wald.err;
  EXPECT_EQ(json::parse(wald.out)["wald"][0]["df"], 2);
  const Outcome refused = place_.run({"test", "curve", "data.csv", "--formula", "y ~ x1", "--against-experts", "3"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--formula is for a table"), std::string::npos);
  EXPECT_EQ(place_.run({"test", "curve", "data.csv", "--against-formula", "y ~ x1 | x1"}).code, 2);  // not nested
}

TEST_F(Resampling, TestTakesATableARunOrTwoRuns) {
  ASSERT_EQ(place_.run("fit data.csv --target y --experts-on x1 --experts 1 --out one --quiet").code, 0);
  const json two_runs = json::parse(place_.run("test one run data.csv --replications 4 --data-starts 1 --json").out);
  EXPECT_EQ(two_runs["differences"][0], "1 against 2 experts");
  EXPECT_TRUE(two_runs["chi_square_p"].is_null());
  EXPECT_EQ(two_runs["bootstrap_p"], 0.2);  // none of 4 was as large
  const json one_run = json::parse(place_.run("test one data.csv --against-experts 2 --replications 0 --json").out);
  EXPECT_NEAR(one_run["statistic"], two_runs["statistic"], 1e-6);
  const json table = json::parse(place_
                                     .run("test data.csv --target y --experts-on x1 --experts 2 --against-experts-on "
                                          "x1,x2 --replications 0 --json")
                                     .out);
  EXPECT_EQ(table["degrees_of_freedom"], 2);  // one more slope per expert; the gate keeps its inputs
  EXPECT_TRUE(table["regular"]);
  EXPECT_EQ(place_.run("test run data.csv").code, 2);
  EXPECT_EQ(place_.run("test run one data.csv").code, 2);
  EXPECT_NE(place_.run("test run data.csv --against-gate sofmax").err.find("did you mean 'softmax'?"),
            std::string::npos);
}

TEST_F(Resampling, WaldTestsOfARunAreThoseOfTheFit) {
  const json fit = json::parse(place_.run("fit data.csv --target y --experts-on x1 --experts 2 --wald --json").out);
  const Outcome outcome = place_.run({"test", "run", "data.csv", "--wald", "experts: x1,gate: x1", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json wald = json::parse(outcome.out)["wald"];
  ASSERT_EQ(wald.size(), 3U);
  EXPECT_EQ(wald[0]["hypothesis"], "experts: x1 = 0");
  EXPECT_EQ(fit["wald"][0]["hypothesis"], "x1 has no effect in the gate");
  EXPECT_NEAR(wald[0]["statistic"], fit["wald"][1]["statistic"], 1e-4 * fit["wald"][1]["statistic"].get<double>());
  EXPECT_EQ(wald[2]["df"], 3);
  EXPECT_NEAR(wald[2]["statistic"], fit["wald"][2]["statistic"], 1e-4 * fit["wald"][2]["statistic"].get<double>());
  const Outcome table = place_.run({"test", "data.csv", "--target", "y", "--experts-on", "x1", "--experts", "2",
                                    "--wald", "expert 1: x1 = expert 2: x1"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_NE(table.out.find("expert 1: x1 = expert 2: x1"), std::string::npos);
  const Outcome wrong = place_.run({"test", "run", "data.csv", "--wald", "expert 1: x3"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("there is no parameter 'expert 1: x3'"), std::string::npos);
  EXPECT_EQ(place_.run({"test", "run", "data.csv", "--wald", "x1", "--against-experts", "3"}).code, 2);
}

TEST_F(Resampling, FixedParametersAreCalledFixedAndStayFixed) {
  const Outcome fit =
      place_.run("fit data.csv --target y --experts-on x1 --experts 2 --fix expert1:x1=1.5 --out constrained --force");
  ASSERT_EQ(fit.code, 0) << fit.err;
  EXPECT_NE(fit.out.find("fixed"), std::string::npos);
  const Outcome outcome =
      place_.run("bootstrap constrained data.csv --replications 3 --data-starts 1 --json --threads 1");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json value = json::parse(outcome.out)["values"][1];
  EXPECT_EQ(value["name"], "x1");
  EXPECT_EQ(value["estimate"], 1.5);
  EXPECT_TRUE(value["fixed"]);
  EXPECT_TRUE(value["standard_error"].is_null());
}

TEST_F(Resampling, StreamedFitsHaveStandardErrors) {
  const json whole = json::parse(place_.run("fit data.csv --target y --experts-on x1 --experts 2 --wald --json").out);
  const Outcome outcome = place_.run(
      "fit data.csv --target y --experts-on x1 --experts 2 --stream --chunk-rows 100 --gain 1e-12 --passes 20 --wald "
      "--json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json streamed = json::parse(outcome.out);
  const json &ours = streamed["inference"]["parameters"], &theirs = whole["inference"]["parameters"];
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_NEAR(ours[i]["standard_error"], theirs[i]["standard_error"],
                1e-4 * theirs[i]["standard_error"].get<double>());
  EXPECT_EQ(streamed["wald"].size(), whole["wald"].size());
  EXPECT_EQ(place_.run("fit data.csv --target y --stream --standard-errors cluster").code, 2);
}

// '.' is every column without a part of its own; that of the clusters has one.
TEST_F(Resampling, DotLeavesTheClustersOut) {
  const Outcome outcome =
      place_.run("fit data.csv --formula y~. --experts 1 --standard-errors cluster --cluster x2 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  for (const json& one : result["inference"]["parameters"]) EXPECT_NE(one["label"], "x2");
}

TEST_F(Resampling, DiagnoseWritesOneRowPerRow) {
  const Outcome outcome = place_.run("diagnose run data.csv --out rows.csv --map-starts 2 --top 1");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("(monotone)"), std::string::npos);
  EXPECT_NE(outcome.out.find("0 rows that no expert explains."), std::string::npos);
  const std::string rows = place_.read("rows.csv");
  EXPECT_EQ(first_line(rows),
            "row,mean,residual,pit,log_density,expert,responsibility,entropy,tail,leverage,cook_parameters,"
            "cook_predictions,likelihood_displacement");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 151);
  const json result = json::parse(place_.run("diagnose run data.csv --map-starts 0 --json").out);
  EXPECT_LT(result["optimum"]["mean_score"], 1e-6);
  EXPECT_EQ(result["most_influential"].size(), 5U);
  const Outcome blind = place_.run("diagnose run -", "x1,x2\n1,2\n");
  EXPECT_EQ(blind.code, 2);
  EXPECT_NE(blind.err.find("needs the response 'y'"), std::string::npos);
}

}  // namespace
}  // namespace clearway::golden
