// clearway fit: what it prints, what it writes, how it ends.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

constexpr const char* kFit = "fit data.csv --target y --experts-on x1,x2 --experts 2";

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;  // json sorts them
}

/// A folder with data.csv, 300 rows of two linear experts.
class Fit : public testing::Test {
 protected:
  void SetUp() override { place_.write("data.csv", two_experts_csv(300)); }
  Outcome run(const std::string& line, const std::string& input = {}) const { return place_.run(line, input); }
  Workplace place_;
};

TEST_F(Fit, JsonHasThePromisedKeysAndTheTruth) {
  const Outcome outcome = run(std::string(kFit) + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  const std::vector<std::string> keys = {"aic",
                                         "bic",
                                         "clearway",
                                         "command",
                                         "convention",
                                         "converged",
                                         "data",
                                         "degenerate_log_likelihood",
                                         "df",
                                         "dropped_rows",
                                         "entropy",
                                         "experts",
                                         "form",
                                         "formula",
                                         "gate",
                                         "icl",
                                         "inference",
                                         "iterations",
                                         "least_squares",
                                         "log_likelihood",
                                         "n",
                                         "notes",
                                         "outliers",
                                         "reason",
                                         "response",
                                         "score",
                                         "seconds",
                                         "seed",
                                         "start",
                                         "starts",
                                         "starts_agreed",
                                         "starts_polished",
                                         "total_weight",
                                         "tournament",
                                         "trimmed_rows",
                                         "warnings"};
  EXPECT_EQ(keys_of(result), keys);
  EXPECT_EQ(keys_of(result["experts"][0]),
            (std::vector<std::string>{"coefficients", "noise", "prior", "ratio", "share", "sigma", "size"}));
  EXPECT_EQ(keys_of(result["gate"]), (std::vector<std::string>{"coefficients", "kind", "reference", "separated",
                                                               "supremum_log_likelihood", "temperature"}));
  EXPECT_EQ(result["n"], 300);
  EXPECT_EQ(result["df"], 2 * 4 + 3);  // two experts with intercept, two slopes, sigma; one gate block of three
  EXPECT_TRUE(result["converged"]);
  // Definitions, to the rounding of numbers of order 1e3.
  const double ll = result["log_likelihood"];
  EXPECT_NEAR(result["aic"], -2 * ll + 2 * 11, 1e-9);
  EXPECT_NEAR(result["bic"], -2 * ll + 11 * std::log(300.0), 1e-9);
  EXPECT_NEAR(result["icl"], result["bic"].get<double>() + 2 * result["entropy"].get<double>(), 1e-9);
  // The truth of two_experts_csv(): standard errors are about sigma / sqrt(n share) / sd(x) = 0.5 / sqrt(130) / 1.15
  // = 0.04 for slopes and 0.5 / sqrt(2 * 130) = 0.03 for sigma; five of them on either side.
  for (const json& expert : result["experts"]) {
    const bool first = expert["coefficients"]["(intercept)"] > 0;
    EXPECT_NEAR(expert["coefficients"]["(intercept)"], first ? 3.0 : -3.0, 0.3);
    EXPECT_NEAR(expert["coefficients"]["x1"], first ? 2.0 : -1.0, 0.2);
    EXPECT_NEAR(expert["coefficients"]["x2"], first ? -1.0 : 0.5, 0.2);
    EXPECT_NEAR(expert["sigma"], first ? 0.3 : 0.5, 0.15);
  }
  EXPECT_GE(result["experts"][0]["share"], result["experts"][1]["share"]);
}

TEST_F(Fit, SummaryShowsTheSameNumbersAndNoTimes) {
  const Outcome text = run(kFit);
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(text.out.starts_with("y ~ 2 experts: linear(x1, x2); gate: softmax(x1, x2)\n300 rows\n")) << text.out;
  for (const char* word :
       {"Expert 1", "Expert 2", "share", "prior", "size", "(intercept)", "sigma", "Gate, relative to", "log-likelihood",
        "AIC", "BIC", "ICL", "entropy", "smaller is better", "Start: ", "Stopped"})
    EXPECT_NE(text.out.find(word), std::string::npos) << word;
  EXPECT_EQ(run(kFit).out, text.out);
}

TEST_F(Fit, SameSeedSameBytesForAnyNumberOfThreads) {
  const auto without_time = [&](const std::string& line) {
    json result = json::parse(run(line).out);
    result.erase("seconds");
    return result.dump();
  };
  const std::string fit = std::string(kFit) + " --json --seed 7 --threads ";
  const std::string one = without_time(fit + "1");
  EXPECT_EQ(without_time(fit + "2"), one);
  EXPECT_EQ(without_time(fit + "1"), one);
}

TEST_F(Fit, RunFolderHoldsWhatIsPromised) {
  const Outcome outcome = run(std::string(kFit) + " --seed 5 --out deep/run");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(place_.read("deep/run/summary.txt"), outcome.out);
  const json config = json::parse(place_.read("deep/run/config.json"));
  EXPECT_EQ(config["command"], "fit");
  EXPECT_EQ(config["data"], "data.csv");
  EXPECT_EQ(config["seed"], 5);
  EXPECT_EQ(config["experts"], 2);
  EXPECT_EQ(config["gate"], "softmax");
  EXPECT_EQ(config["experts_on"], (std::vector<std::string>{"x1", "x2"}));
  EXPECT_FALSE(config.contains("out"));
  EXPECT_EQ(json::parse(place_.read("deep/run/model.json"))["format"], "clearway-model");
  EXPECT_EQ(json::parse(place_.read("deep/run/summary.json"))["seed"], 5);
  const std::string history = place_.read("deep/run/history.jsonl");
  const auto first = json::parse(history.substr(0, history.find('\n')));
  for (const char* key : {"start", "iteration", "phase", "log_likelihood"}) EXPECT_TRUE(first.contains(key)) << key;

  // The run can be made again from its own config.json, bit for bit.
  ASSERT_EQ(run("fit --config deep/run/config.json --out again").code, 0);
  EXPECT_EQ(place_.read("again/model.json"), place_.read("deep/run/model.json"));

  // It is never overwritten unless asked.
  const Outcome refused = run(std::string(kFit) + " --out deep/run");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
  EXPECT_EQ(run(std::string(kFit) + " --seed 6 --out deep/run --force").code, 0);
  EXPECT_EQ(json::parse(place_.read("deep/run/config.json"))["seed"], 6);
}

TEST_F(Fit, StandardInputIsATableToo) {
  const std::string fit = "fit - --target y --experts-on x1,x2 --experts 2";
  const Outcome piped = run(fit, place_.read("data.csv"));
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.out, run(kFit).out);
}

TEST_F(Fit, QuietIsSilentAndJsonIsStillPrinted) {
  const Outcome quiet = run(std::string(kFit) + " --quiet --out run");
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.out, "");
  EXPECT_EQ(quiet.err, "");
  EXPECT_TRUE(place_.exists("run/summary.txt"));
  EXPECT_FALSE(run(std::string(kFit) + " --quiet --json").out.empty());
}

TEST_F(Fit, NothingIsWrittenWithoutOut) {
  ASSERT_EQ(run(kFit).code, 0);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(place_.folder()), {}), 1);
}

TEST_F(Fit, NotConvergingIsCode3AndIsStillWritten) {
  const Outcome outcome = run(std::string(kFit) +
                              " --max-iterations 1 --newton=false --starts 1 --short-iterations 1 "
                              "--method em --out run");
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_NE(outcome.out.find("NOT CONVERGED"), std::string::npos);
  EXPECT_EQ(outcome.err, "clearway fit: warning: not converged: iteration-limit\n");
  EXPECT_EQ(json::parse(place_.read("run/summary.json"))["converged"], false);
}

TEST_F(Fit, LeastSquaresIsARegressionFunctionFromFitToPredict) {
  const Outcome fitted = run(std::string(kFit) + " --method least-squares --starts 4 --out run");
  EXPECT_EQ(fitted.code, 0) << fitted.err;
  EXPECT_NE(fitted.out.find("least squares"), std::string::npos) << fitted.out;
  const json summary = json::parse(place_.read("run/summary.json"));
  EXPECT_EQ(summary["form"], "regression");
  const double r_squared = summary["least_squares"]["r_squared"][0];
  EXPECT_GT(r_squared, 0);
  EXPECT_LT(r_squared, 1);
  const json rows = json::parse(run("predict run data.csv --json").out);
  EXPECT_FALSE(rows.contains("responsibility_1"));
  // The 95 % quantile of the normal distribution is 1.6448536269514722 standard deviations above the mean.
  const double width = rows["q0.95"][0].get<double>() - rows["mean"][0].get<double>();
  EXPECT_NEAR(width, 1.6448536269514722 * rows["sd"][0].get<double>(), 1e-12 * width);
  const Outcome refused = run(std::string(kFit) + " --method least-squares --expert student-t");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("method 'least-squares' needs experts with a mean"), std::string::npos) << refused.err;
}

TEST_F(Fit, ConfigFileGivesDefaultsThatFlagsOverride) {
  place_.write(
      "run.toml",
      "seed = 11\n[fit]\ntarget = \"y\"\nexperts-on = [\"x1\", \"x2\"]\nexperts = 1\n[predict]\nmissing = \"na\"\n");
  const json one = json::parse(run("fit data.csv --config run.toml --json").out);
  EXPECT_EQ(one["experts"].size(), 1U);
  EXPECT_EQ(one["seed"], 11);
  const json two = json::parse(run("fit data.csv --config run.toml --json --experts 2 --seed 12").out);
  EXPECT_EQ(two["experts"].size(), 2U);
  EXPECT_EQ(two["seed"], 12);
}

TEST_F(Fit, TextColumnsBecomeNamedCategories) {
  const json result = json::parse(run("fit data.csv --target y --experts 1 --json").out);
  EXPECT_TRUE(result["experts"][0]["coefficients"].contains("group[odd]"));
}

TEST_F(Fit, MissingCellsAreNeverDroppedSilently) {
  place_.write("holes.csv", two_experts_csv(100) + "1.5,NA,0.5,even\n");
  const Outcome refused = run("fit holes.csv --target y --experts-on x1,x2 --experts 1");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("line 102"), std::string::npos) << refused.err;
  const Outcome dropped = run("fit holes.csv --target y --experts-on x1,x2 --experts 1 --missing drop --json");
  EXPECT_EQ(dropped.code, 0) << dropped.err;
  EXPECT_EQ(json::parse(dropped.out)["dropped_rows"], 1);
  EXPECT_EQ(json::parse(dropped.out)["n"], 100);
}

/// Wrong use: exit code 2, nothing on standard output, one line on standard error that has these words in it.
struct Mistake {
  std::string line;
  std::vector<std::string> words;
};

TEST_F(Fit, MistakesAreNamed) {
  place_.write("cell.csv", "y,x\n1,2\n2,3\n3,oops\n4,5\n5,6\n");
  place_.write("short.csv", "y,x\n1,2\n2\n");
  place_.write("four.csv", "y,x\n1,2\n2,3\n3,1\n4,5\n");
  place_.write("empty.csv", "");
  place_.write("file", "x");
  std::filesystem::create_directory(place_.folder() / "full");
  place_.write("full/notes.txt", "");
  const std::vector<Mistake> mistakes = {
      {"fit", {"data.csv is missing"}},
      {"fit absent.csv --target y", {"absent.csv: there is no such file"}},
      {"fit data.csv", {"target"}},
      {"fit data.csv --target price", {"'price'", "y, x1, x2"}},
      {"fit data.csv --target group", {"group"}},
      {"fit data.csv --target y --experts-on x3", {"x3", "x1"}},
      {"fit data.csv --target y --gate-on x11", {"x11", "x1"}},
      {"fit data.csv --target y --weights z", {"'z'"}},
      {"fit data.csv --target y --experts 0", {"experts must be at least 1, not 0"}},
      {"fit data.csv --target y --experts two", {"experts must be a whole number, not 'two'"}},
      {"fit data.csv --target y --expert 3", {"expert must be one of linear", "not '3'"}},
      {"fit data.csv --target y --gate sofmax", {"gate must be one of softmax", "did you mean 'softmax'?"}},
      {"fit data.csv --target y --expert liner", {"did you mean 'linear'?"}},
      {"fit data.csv --target y --tolerance 0", {"tolerance must be above 0, not 0"}},
      {"fit data.csv --target y --epxerts 3", {"unknown option '--epxerts'", "did you mean '--experts'?"}},
      {"fit data.csv --target y --expert poisson --experts-on x1", {"poisson"}},
      {"fit data.csv more.csv --target y", {"unexpected argument 'more.csv'"}},
      {"fit cell.csv --target y --experts-on x^2", {"line 4", "oops"}},
      {"fit short.csv --target y", {"line 3"}},
      {"fit empty.csv --target y", {"empty.csv"}},
      {"fit four.csv --target y --experts 5", {"experts", "4"}},
      {"fit data.csv --target y --experts-on x1 --out file", {"file"}},
      {"fit data.csv --target y --out full", {"full"}},
  };
  for (const Mistake& mistake : mistakes) {
    const Outcome outcome = run(mistake.line);
    EXPECT_EQ(outcome.code, 2) << mistake.line << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << mistake.line;
    EXPECT_TRUE(outcome.err.starts_with("clearway fit: ")) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& word : mistake.words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << mistake.line << "\n" << outcome.err << "lacks " << word;
  }
}

TEST_F(Fit, AFailedFitLeavesNoFolder) {
  EXPECT_EQ(run("fit data.csv --target nothing --out run").code, 2);
  EXPECT_FALSE(place_.exists("run"));
}

TEST_F(Fit, AFolderThatCannotBeMadeIsAFailureOfTheWorld) {
  const Outcome outcome = run(std::string(kFit) + " --out /proc/clearway-run");
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("/proc/clearway-run"), std::string::npos) << outcome.err;
}

/// 300 choices between three ways to travel; the trains of half of the choosers cost them little.
std::string choices_csv() {
  std::string text = "mode,price_air,price_bus,price_train,time_air,time_bus,time_train,income\n";
  for (int i = 1; i <= 300; ++i) {
    const double income = static_cast<double>((i * 37) % 60) / 30 - 1;
    std::string prices, times;
    double best = -1e9;
    const char* mode = "";
    for (int j = 0; j < 3; ++j) {
      const double price = static_cast<double>((i * (7 + 4 * j)) % 23) / 10;
      const double time = static_cast<double>((i * (5 + 2 * j * j) + 3 * j) % 17) / 8;
      const double u = (static_cast<double>((i * i * (3 + 2 * j) + i * (11 + 6 * j)) % 61) + 0.5) / 61.5;
      const double utility = -0.8 * price - 0.5 * time + (j == 0 ? income : 0.0) - std::log(-std::log(u));
      if (utility > best) {
        best = utility;
        mode = j == 0 ? "air" : j == 1 ? "bus" : "train";
      }
      prices += "," + std::to_string(price);
      times += "," + std::to_string(time);
    }
    text += mode + prices + times + "," + std::to_string(income) + "\n";
  }
  return text;
}

TEST_F(Fit, ConditionalLogitFromTableToPredictions) {
  place_.write("travel.csv", choices_csv());
  const std::string fit =
      "fit travel.csv --target mode --expert conditional-logit --attributes price,time --experts 1 ";
  const Outcome outcome = run(fit + "--out run --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  const json& coefficients = result["experts"][0]["coefficients"];
  for (const char* name : {"air: (intercept)", "air: income", "bus: (intercept)", "bus: income", "price", "time"})
    EXPECT_TRUE(coefficients.contains(name)) << name << " in " << coefficients.dump();
  EXPECT_EQ(coefficients.size(), 6U);
  EXPECT_LT(coefficients["price"].get<double>(), 0);
  const Outcome predicted = run("predict run travel.csv");
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_TRUE(predicted.out.starts_with("probability_air,probability_bus,probability_train,class,expert"));
  // The log densities of the predictions are those of the fit, to their six digits.
  const json table = json::parse(run("predict run travel.csv --json").out);
  double total = 0;
  for (const json& value : table["log_density"]) total += value.get<double>();
  EXPECT_NEAR(total, result["log_likelihood"].get<double>(), 1e-3);
  place_.write("new.csv",
               "price_air,price_bus,price_train,time_air,time_bus,time_train,income\n1,1,1,1,1,1,0\n9,1,1,1,1,1,0\n");
  const json two = json::parse(run("predict run new.csv --json").out);
  EXPECT_GT(two["probability_air"][0].get<double>(), two["probability_air"][1].get<double>());
  EXPECT_EQ(run("simulate --model run --data travel.csv --out drawn.csv").code, 0);
  EXPECT_EQ(run("bootstrap run travel.csv --replications 3").code, 0);
  const Outcome constrained = place_.run(
      std::vector<std::string>{"fit", "travel.csv", "--target", "mode", "--expert", "conditional-logit", "--attributes",
                               "price,time", "--experts", "1", "--fix", "time=-0.5,air: income=1", "--json"});
  ASSERT_EQ(constrained.code, 0) << constrained.err;
  const json fixed = json::parse(constrained.out);
  EXPECT_NEAR(fixed["experts"][0]["coefficients"]["time"].get<double>(), -0.5, 1e-9);
  EXPECT_NEAR(fixed["experts"][0]["coefficients"]["air: income"].get<double>(), 1.0, 1e-9);
  EXPECT_LE(fixed["log_likelihood"].get<double>(), result["log_likelihood"].get<double>());
  // Tables without a column that an attribute needs, and attributes that other experts do not have.
  place_.write("less.csv", "price_air,price_bus,price_train,time_air,time_bus,income\n1,1,1,1,1,0\n");
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"predict run less.csv", "time_train"},
      {"fit travel.csv --target mode --expert conditional-logit --attributes price,comfort", "'comfort_air'"},
      {"fit travel.csv --target mode --expert conditional-logit", "attributes must name"},
      {"fit travel.csv --target mode --expert multinomial --attributes price", "attributes is for conditional-logit"},
      {"select travel.csv --target mode --expert conditional-logit --attributes price --experts 1 --stepwise both",
       "stepwise"}};
  for (const auto& [line, word] : mistakes) {
    const Outcome refused = run(line);
    EXPECT_EQ(refused.code, 2) << line << "\n" << refused.err;
    EXPECT_NE(refused.err.find(word), std::string::npos) << line << "\n" << refused.err;
  }
}

// log(y) ~ log(x+1) + I(a/b) is the model of those columns computed by hand, in everything that reads a model.
TEST_F(Fit, ExpressionsAreTheColumnsTheyCompute) {
  std::string raw = "y,x,a,b,g\n", by_hand = "logy,x,logx,ratio,g\n";
  for (int i = 0; i < 160; ++i) {
    const double x = (i * 37 % 101) / 25.0, a = (i * 53 % 89) / 30.0 + 0.1, b = (i * 29 % 61) / 40.0 + 0.5;
    const bool one = i * 71 % 97 < 20 + 14 * x;
    const double noise = ((i * 43 % 83) / 83.0 - 0.5) * 0.4;
    const double y = std::exp((one ? 1 + 0.5 * std::log(x + 1) + a / b : 3 - std::log(x + 1) - 0.5 * a / b) + noise);
    const char* g = i % 3 == 0 ? "u" : "v";
    raw += fmt::format("{},{},{},{},{}\n", y, x, a, b, g);
    by_hand += fmt::format("{},{},{},{},{}\n", std::log(y), x, std::log(x + 1), a / b, g);
  }
  place_.write("raw.csv", raw);
  place_.write("by_hand.csv", by_hand);
  const std::string rest = " --experts 2 --json --out ";
  const Outcome written = run("fit raw.csv --formula log(y)~log(x+1)+I(a/b)+g|x" + rest + "run");
  ASSERT_EQ(written.code, 0) << written.err;
  const Outcome computed = run("fit by_hand.csv --formula logy~logx+ratio+g|x" + rest + "reference");
  ASSERT_EQ(computed.code, 0) << computed.err;
  const json one = json::parse(written.out), other = json::parse(computed.out);
  EXPECT_NEAR(one["log_likelihood"].get<double>(), other["log_likelihood"].get<double>(), 1e-8);
  EXPECT_EQ(one["response"], json({"log(y)"}));
  EXPECT_TRUE(one["experts"][0]["coefficients"].contains("log(x+1)")) << one["experts"][0].dump();

  const json predicted = json::parse(run("predict run raw.csv --json").out);
  const json expected = json::parse(run("predict reference by_hand.csv --json").out);
  for (const char* name : {"mean", "log_density"}) {
    ASSERT_TRUE(predicted.contains(name)) << predicted.begin().key();
    for (std::size_t i = 0; i < 160; ++i)
      EXPECT_NEAR(predicted[name][i].get<double>(), expected[name][i].get<double>(), 1e-5) << name;
  }
  place_.write("new.csv", "x,a,b,g\n1,2,1,u\n0,1,2,v\n");
  EXPECT_EQ(run("predict run new.csv --effects x").code, 0);
  place_.write("bad.csv", "x,a,b,g\n1,2,1,u\n-2,1,2,v\n");
  const Outcome bad = run("predict run bad.csv");
  EXPECT_EQ(bad.code, 2);
  EXPECT_NE(bad.err.find("line 3"), std::string::npos) << bad.err;
  place_.write("less.csv", "x,a,g\n1,2,u\n");
  EXPECT_NE(run("predict run less.csv").err.find("'b'"), std::string::npos);
  EXPECT_NE(run("diagnose run new.csv").err.find("needs the response log(y)"), std::string::npos);
  for (const std::string line :
       {"bootstrap run raw.csv --replications 3", "diagnose run raw.csv", "report run --data raw.csv --out page.html",
        "simulate --model run --data raw.csv --out drawn.csv",
        "test run raw.csv --against-experts 3 --replications 3 --data-starts 1",
        "fit raw.csv --formula log(y)~log(x+1)+I(a/b)|x --experts 2 --stream --chunk-rows 100",
        "select raw.csv --formula log(y)~log(x+1)+I(a/b)|x --experts 1:2 --stepwise both"}) {
    const Outcome outcome = run(line);
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 3) << line << "\n" << outcome.err;
  }
  // The response that a draw replaces is gone, and other names are said.
  const std::string drawn = place_.read("drawn.csv");
  EXPECT_EQ(drawn.substr(0, drawn.find('\n')), "log(y),x,a,b,g");
  EXPECT_NE(run("compare run reference").out.find("the responses of the two runs differ"), std::string::npos);
  EXPECT_EQ(run("compare run run").out.find("two runs differ"), std::string::npos);
}

// Successes and failures: draws leave the trials as they are; an offset has an effect of its own, 1/e for log(e).
TEST_F(Fit, PairsAndOffsets) {
  std::string pairs = "yes,no,x\n", counts = "c,x,e\n";
  for (int i = 0; i < 60; ++i) {
    pairs += fmt::format("{},{},{}\n", i * 7 % 5, 1 + i * 11 % 4, (i * 13 % 17) / 8.0 - 1);
    counts += fmt::format("{},{},{}\n", i * 17 % 6, (i * 13 % 17) / 8.0 - 1, 1 + i * 5 % 3);
  }
  place_.write("pairs.csv", pairs);
  place_.write("counts.csv", counts);
  ASSERT_EQ(run("fit pairs.csv --formula cbind(yes,no)~x --expert binomial --experts 1 --out pairs").code, 0);
  ASSERT_EQ(run("simulate --model pairs --data pairs.csv --seed 5 --out drawn.csv").code, 0);
  const json before = json::parse(run("predict pairs pairs.csv --keep yes,no --json").out);
  const json after = json::parse(run("predict pairs drawn.csv --keep yes,no --json").out);
  for (std::size_t i = 0; i < 60; ++i) {
    EXPECT_EQ(after["yes"][i].get<double>() + after["no"][i].get<double>(),
              before["yes"][i].get<double>() + before["no"][i].get<double>());
    EXPECT_GE(after["no"][i].get<double>(), 0);
  }
  EXPECT_NE(after["yes"], before["yes"]);

  ASSERT_EQ(run("fit counts.csv --formula c~x+offset(log(e)) --expert poisson --experts 1 --out counts").code, 0);
  const json effects = json::parse(run("predict counts counts.csv --effects e --keep e --json").out);
  for (std::size_t i = 0; i < 60; ++i) {
    const double mean = effects["mean"][i], e = effects["e"][i];
    EXPECT_NEAR(effects["effect_e"][i].get<double>(), mean / e, 1e-5 * mean) << i;
  }
}

}  // namespace
}  // namespace clearway::golden
