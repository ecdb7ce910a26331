// Problems with known truth: fit() with its defaults, from the data alone, must reach the optimum that EM finds when it
// starts at the truth (or better). The true expert (column z) is never read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/stat/compare.hpp"
#include "oracle_data.hpp"

namespace clearway::oracle {
namespace {

bool is_standard(const Problem& problem) {
  return problem.kind == "gauss" || problem.kind == "const" || problem.kind == "pois" || problem.kind == "binom" ||
         problem.kind == "gamma" || problem.kind == "out";
}

// The best optimum known: EM from the truth, or what another package found. Problems without a recorded figure are
// answered by fit() itself started at the truth.
double best_known(const Problem& problem, const Data& data) {
  double best = problem.reference;
  if (std::isnan(best)) {
    const Truth truth = read_truth(problem);
    FitOptions options = default_options(problem);
    options.starts = 1;
    best = fit(data, options, &truth.model).log_likelihood;
  }
  return std::isnan(problem.other) ? best : std::max(best, problem.other);
}

// Standard files: 1e-6 relative, the table's requirement. Hard and rare files: 0.01; noisy ones, whose likelihood is
// nearly flat: 0.5.
double allowance(const Problem& problem, double best) {
  if (is_standard(problem)) return 1e-6 * std::abs(best);
  return problem.kind == "noisy" ? 0.5 : 0.01;
}

class OracleProblem : public testing::TestWithParam<Problem> {};

TEST_P(OracleProblem, DefaultsReachTheBestKnownOptimum) {
  const Problem& problem = GetParam();
  const Data data = read_problem(problem);
  const FitResult result = fit(data, default_options(problem));
  const double best = best_known(problem, data);
  RecordProperty("log_likelihood", fmt::format("{:.6f}", result.log_likelihood));
  RecordProperty("reference", fmt::format("{:.6f}", best));
  RecordProperty("difference", fmt::format("{:.3e}", result.log_likelihood - best));
  RecordProperty("seconds", fmt::format("{:.3f}", result.seconds));
  RecordProperty("start", std::string(enum_name(result.start)));
  RecordProperty("score", fmt::format("{:.1e}", result.score));
  RecordProperty("iterations", result.iterations);
  EXPECT_GE(result.log_likelihood, best - allowance(problem, best));
  EXPECT_EQ(result.model.expert_count(), problem.experts) << "an expert was dropped";
  if (result.gate_separated) return;  // the maximum is at infinity
  // At an optimum whose mean score is s (standardised units), the distance to the exact maximum in standard errors is at
  // most sqrt(n) s / sqrt(smallest eigenvalue of the mean information). With an eigenvalue of 1e-3 the requirement
  // "parameters equal the maximum likelihood estimate to 1e-4 standard errors" is s <= 1e-4 sqrt(1e-3 / n): 1e-7 for a
  // thousand rows, 1e-8 for a hundred thousand.
  EXPECT_TRUE(result.converged) << enum_name(result.reason);
  EXPECT_LE(result.score, 1e-4 * std::sqrt(1e-3 / problem.rows));
}

std::string test_name(const testing::TestParamInfo<Problem>& info) {
  return info.param.name();
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OracleProblem);
INSTANTIATE_TEST_SUITE_P(All, OracleProblem, testing::ValuesIn(problems()), test_name);

// Five per cent of gross outliers: with the uniform noise component the experts are those of clean data (median error of
// 10 draws 0.034 for two experts, 0.059 for three; without the component 1.01 and 0.95). 0.059 and 0.072 are the largest
// errors that a prototype of the same model made in 10 draws, of which three are among the oracle files.
class Outliers : public testing::TestWithParam<int> {};

TEST_P(Outliers, NoiseComponentKeepsTheExperts) {
  if (!oracle_folder()) GTEST_SKIP() << "the shared background is absent: set CLEARWAY_SHARED";
  std::vector<double> errors;
  for (const Problem& problem : problems()) {
    if (problem.kind != "out" || problem.experts != GetParam() || problem.rows != 1000) continue;
    FitOptions options = default_options(problem);
    options.noise = NoiseKind::uniform;
    const FitResult result = fit(read_problem(problem), options);
    Truth truth = read_truth(problem);  // the file says nothing of its outliers
    truth.model.has_noise = true;
    truth.model.noise_weight = 0.05;
    truth.model.noise_log_density = -std::log(40.0);
    errors.push_back(compare(result.model, truth.model).expert_rmse);
    EXPECT_LE(errors.back(), GetParam() == 2 ? 0.059 : 0.072);
    options.starts = 1;
    EXPECT_GE(result.log_likelihood, fit(read_problem(problem), options, &truth.model).log_likelihood -
                                         1e-6 * std::abs(result.log_likelihood));
    EXPECT_NEAR(result.model.noise_weight, 0.05, 0.025);  // 5 % of 1000 rows: binomial deviation 0.007
  }
  ASSERT_EQ(errors.size(), 3U);
  std::sort(errors.begin(), errors.end());
  RecordProperty("expert_rmse_median", fmt::format("{:.4f}", errors[1]));
}

INSTANTIATE_TEST_SUITE_P(Experts, Outliers, testing::Values(2, 3));

TEST(SlowEm, HeavyOverlapConvergesInFewPasses) {
  if (!oracle_folder()) GTEST_SKIP() << "the shared background is absent: set CLEARWAY_SHARED";
  for (const Problem& problem : problems()) {
    if (problem.name() != "noisy_k4_d1_n10000_s0") continue;
    const FitResult result = fit(read_problem(problem), default_options(problem));
    RecordProperty("iterations", result.iterations);
    RecordProperty("score", fmt::format("{:.1e}", result.score));
    RecordProperty("seconds", fmt::format("{:.3f}", result.seconds));
    EXPECT_LT(result.score, 1e-6);
    EXPECT_LE(result.iterations, 200);  // plain EM needs 3,000 to 5,000; wanted are 150, see docs/acceptance.md
  }
}

TEST(OracleFiles, ArePresentOrSaidToBeAbsent) {
  if (!oracle_folder()) GTEST_SKIP() << "the shared background is absent: set CLEARWAY_SHARED";
  EXPECT_EQ(problems().size(), 105U);
}

}  // namespace
}  // namespace clearway::oracle
