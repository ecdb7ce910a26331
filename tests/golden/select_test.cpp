// clearway select: what it recommends, what it leaves in the run folder, and that other commands take it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

class Select : public testing::Test {
 protected:
  void SetUp() override { place_.write("data.csv", two_experts_csv(200)); }
  Workplace place_;
};

TEST_F(Select, RecommendsTwoExpertsAndKeepsThemAsFitWould) {
  const Outcome outcome =
      place_.run("select data.csv --formula y~x1+x2 --experts 1:3 --folds 2 --starts 4 --out run --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  const std::size_t recommended = result.at("recommended");
  EXPECT_EQ(result.at("candidates").at(recommended).at("experts"), 2);
  EXPECT_EQ(result.at("choices").at("bic").at("candidate"), recommended);
  EXPECT_EQ(result.at("model").at("log_likelihood"), result.at("candidates").at(recommended).at("log_likelihood"));
  const json config = json::parse(place_.read("run/config.json"));
  EXPECT_EQ(config.at("command"), "fit");
  EXPECT_EQ(config.at("experts"), 2);
  EXPECT_EQ(config.at("target"), json::array({"y"}));
  EXPECT_EQ(place_.run("predict run data.csv --quiet").code, 0);
  EXPECT_EQ(place_.run("diagnose run data.csv --quiet").code, 0);
  const Outcome again = place_.run("fit data.csv --config run/config.json --json");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_NEAR(json::parse(again.out).at("log_likelihood").get<double>(),
              result.at("model").at("log_likelihood").get<double>(), 1e-6);  // converged to a score of 1e-8
}

// Kinds joined by + make one model; formulas know the bases; the run is one that other commands take.
TEST_F(Select, SeveralKindsInOneModelAndBasesInFormulas) {
  const Outcome outcome =
      place_.run({"select", "data.csv", "--formula", "y ~ ns(x1, 2) + x2 | poly(x1, 2) + bs(x2, 3)", "--experts", "2",
                  "--expert", "linear,linear+laplace", "--folds", "0", "--starts", "2", "--out", "run", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json candidates = json::parse(outcome.out).at("candidates");
  ASSERT_EQ(candidates.size(), 2U);
  EXPECT_EQ(candidates[1].at("expert"), "linear+laplace");
  const Outcome mixed = place_.run(
      "select data.csv --target y --experts-on x1,x2 --experts 1:2 --expert linear+laplace --folds 0 --starts 2 --out "
      "mixed --json");
  ASSERT_EQ(mixed.code, 0) << mixed.err;
  EXPECT_EQ(json::parse(mixed.out).at("candidates").size(), 1U);  // one expert cannot be of two kinds
  EXPECT_EQ(json::parse(place_.read("mixed/config.json")).at("expert"), (json{"linear", "laplace"}));
  EXPECT_EQ(place_.run("predict mixed data.csv --quiet").code, 0);
  const Outcome same = place_.run("compare mixed mixed --json");
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_EQ(json::parse(same.out).at("regressor_error"), 0.0);
  EXPECT_EQ(place_.run("select data.csv --target y --expert linear+linear").code, 2);
}

TEST_F(Select, WrongFormulasPointAtTheCharacter) {
  const Outcome outcome = place_.run("select data.csv --formula y~x1+");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("character 6 (the end): a column is expected"), std::string::npos) << outcome.err;
  EXPECT_EQ(place_.run("fit data.csv --formula y~x1 --target y").code, 2);
}

TEST_F(Select, APenaltyLeavesOutWhatDoesNotMatter) {
  const Outcome outcome =
      place_.run("select data.csv --target y --experts 2 --penalty lasso --path-length 5 --starts 4 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json path = json::parse(outcome.out).at("paths").at(0);
  const json& points = path.at("points");
  EXPECT_EQ(points.size(), 5U);
  EXPECT_LE(points.at(path.at("chosen").get<std::size_t>()).at("bic").get<double>(),
            path.at("unpenalised_bic").get<double>() + 1e-6);
}

// The run folder says which slopes are zero: fit --config gives the model again, and tests and resampling keep them there.
TEST_F(Select, APenalisedRunIsFittedAgainAsItIs) {
  const Outcome outcome =
      place_.run("select data.csv --target y --experts 2 --penalty lasso --path-length 5 --out run --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json model = json::parse(outcome.out).at("model");
  const Outcome again = place_.run("fit --config run/config.json --json");
  ASSERT_EQ(again.code, 0) << again.err;
  const json refit = json::parse(again.out);
  EXPECT_NEAR(refit["log_likelihood"].get<double>(), model["log_likelihood"].get<double>(), 1e-4);
  EXPECT_EQ(refit["df"], model["df"]);
  const Outcome bootstrapped = place_.run("bootstrap run data.csv --replications 3");
  EXPECT_EQ(bootstrapped.code, 0) << bootstrapped.err;
  const json saved = json::parse(place_.read("run/model.json"));
  EXPECT_EQ(saved.contains("constraints"),
            json::parse(place_.read("run/config.json")).value("fix", json::array()).size() > 0);
  if (saved.contains("constraints")) {
    EXPECT_NE(bootstrapped.out.find("fixed"), std::string::npos) << bootstrapped.out;
  }
  EXPECT_NE(place_.run("predict run data.csv --interval confidence").err.find("without"), std::string::npos);
}

// Standard errors after a penalty: of the other half of the rows, with a word of caution; the run is one for other commands.
TEST_F(Select, PenaltyInferenceSplitsTheRows) {
  const Outcome outcome = place_.run(
      "select data.csv --formula y~x1+x2 --experts 2 --penalty lasso --penalty-inference split --out run --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["penalty_inference"], "split");
  const int rows = json::parse(place_.run("fit data.csv --target y --experts 1 --json").out)["n"];
  EXPECT_EQ(result["model"]["n"], rows - rows / 2);
  EXPECT_FALSE(result["inference"].is_null());
  EXPECT_NE(result["model"]["warnings"][0].get<std::string>().find("one random half"), std::string::npos);
  EXPECT_EQ(place_.run({"test", "run", "data.csv", "--wald", "experts: x1"}).code, 0);
  EXPECT_EQ(place_.run("select data.csv --formula y~x1+x2 --penalty-inference naive").code, 2);
}

}  // namespace
}  // namespace clearway::golden
