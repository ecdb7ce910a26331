// Residuals, leverage, influence and checks of the optimum, against R, closed forms and known laws.
#include "clearway/stat/diagnosis.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <cmath>
#include <numeric>

#include "../../src/stat/local_likelihood.hpp"
#include "clearway/stat/simulate.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// x and y of the R sessions quoted below.
Data ten_rows() {
  Data data;
  data.expert_inputs.resize(10, 1);
  data.expert_inputs << 0.1, 0.5, 0.9, 1.4, 1.8, 2.2, 2.7, 3.1, 3.6, 4.0;
  data.gate_inputs = data.expert_inputs;
  data.response.resize(10, 1);
  data.response << 1, 0, 2, 1, 3, 2, 4, 9, 5, 8;
  return data;
}

FitOptions options_for(int experts, ExpertKind kind = ExpertKind::linear) {
  FitOptions options;
  options.experts = experts;
  options.expert.kind = kind;
  options.threads = 1;
  return options;
}

// The scores of the rows must add up to the gradient that the engine climbs, for every gate and every expert, with
// weights, noise, groups and labels. Both are exact, of order 100: 1e-8 leaves room for sums.
TEST(RowScores, AddUpToTheScoreOfTheEngine) {
  RandomStream stream(1);
  const auto check = [&](const Data& data, const MixtureModel& model, const std::string& what) {
    const detail::LocalLikelihood local(data, model, FitOptions{});
    const Vector sum = local.row_scores(data).colwise().sum();
    EXPECT_LT((sum - local.score()).cwiseAbs().maxCoeff(), 1e-8 * std::max(1.0, local.score().cwiseAbs().maxCoeff()))
        << what;
  };
  for (const GateSpec& gate : testing::all_gates()) {
    const testing::ExpertCase linear{};
    const Data data = testing::random_data(linear, 40, 2, 2, stream, true);
    check(data, testing::random_model(gate, linear, data, 3, stream, true), std::string(enum_name(gate.kind)));
  }
  for (const testing::ExpertCase& expert : testing::all_experts()) {
    const Data data = testing::random_data(expert, 40, 2, 2, stream);
    check(data, testing::random_model({}, expert, data, 2, stream), std::string(enum_name(expert.spec.kind)));
  }
  Data data = testing::random_data({}, 40, 2, 1, stream);
  for (int t = 0; t < 40; ++t) {
    data.groups.push_back((t * 7) % 13);
    data.gate_inputs(t, 0) = data.groups.back();
  }
  check(data, testing::random_model({}, {}, data, 2, stream), "groups");
  data = testing::random_data({}, 40, 2, 1, stream);
  for (int t = 0; t < 40; ++t) data.labels.push_back(t % 4 == 0 ? t % 3 : -1);
  check(data, testing::random_model({}, {}, data, 3, stream), "labels");
}

// Residuals of the true model are standard normal, whatever the family. Kolmogorov's distance of n = 2000 stays below
// sqrt(log(2 / 1e-6) / 2 / n) = 0.0602 with probability 1 - 1e-6.
TEST(QuantileResiduals, AreNormalUnderTheTruth) {
  RandomStream stream(2);
  const double bound = std::sqrt(std::log(2e6) / 2 / 2000);
  for (const ExpertKind kind : {ExpertKind::linear, ExpertKind::student_t, ExpertKind::gamma, ExpertKind::poisson,
                                ExpertKind::bernoulli, ExpertKind::binomial, ExpertKind::multinomial}) {
    const testing::ExpertCase expert{{.kind = kind}};
    for (const bool noise : {false, true}) {
      Data data = testing::random_data(expert, 2000, 2, 2, stream);
      MixtureModel model = testing::random_model({}, expert, data, 2, stream);
      NoiseBox box;
      if (noise) {
        if (kind != ExpertKind::linear) continue;
        // The box is taken to begin at the smallest response: one that the experts cannot reach below.
        box = {Vector::Constant(1, -30), Vector::Constant(1, 30)};
        model.has_noise = true;
        model.noise_weight = 0.3;
        model.noise_log_density = -std::log(60.0);
      }
      data.response = simulate(model, data, stream, box).response;
      const QuantileResiduals residuals = quantile_residuals(model, data, stream);
      ASSERT_TRUE(residuals.residual.allFinite());
      // 600 rows of noise reach within 60 / 600 * log(1e6) = 1.4 of the end of the box: 1.4 / 60 of 0.3 at most.
      EXPECT_LT(normality(residuals.residual.col(0)).kolmogorov, bound + (noise ? 0.007 : 0)) << enum_name(kind);
      MixtureModel wrong = model;
      for (Expert& e : wrong.experts) e.parameters()(0) += 1;
      EXPECT_GT(normality(quantile_residuals(wrong, data, stream).residual.col(0)).kolmogorov, bound)
          << enum_name(kind);
    }
  }
  const testing::ExpertCase pair{{.kind = ExpertKind::linear}, 2};
  Data data = testing::random_data(pair, 2000, 2, 2, stream);
  const MixtureModel model = testing::random_model({}, pair, data, 2, stream);
  data.response = simulate(model, data, stream).response;
  const QuantileResiduals residuals = quantile_residuals(model, data, stream);
  for (Index j = 0; j < 2; ++j) EXPECT_LT(normality(residuals.residual.col(j)).kolmogorov, bound);
}

TEST(QuantileResiduals, OneGaussianExpertGivesStandardisedResiduals) {
  const Data data = ten_rows();
  const MixtureModel model = fit(data, options_for(1)).model;
  RandomStream stream(3);
  const Vector standardised =
      (data.response.col(0) - model.mean(data).col(0)) / model.experts[0].sigma();  // Phi^-1(Phi(z)) = z
  EXPECT_LT((quantile_residuals(model, data, stream).residual.col(0) - standardised).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(Normality, KolmogorovsLaw) {
  // The limit law has its upper 5 % point at 1.3581 and its upper 1 % point at 1.6276 (tables); n = 1e8 is the limit.
  EXPECT_NEAR(kolmogorov_p(1.3581e-4, 100000000), 0.05, 2e-5);
  EXPECT_NEAR(kolmogorov_p(1.6276e-4, 100000000), 0.01, 1e-5);
  EXPECT_EQ(kolmogorov_p(0, 100), 1);
}

TEST(Counts, RootogramAndDispersion) {
  const Data data = ten_rows();
  const MixtureModel model = fit(data, options_for(1, ExpertKind::poisson)).model;
  // R: sum(residuals(glm(y ~ x, poisson), "pearson")^2) / 8 = 0.740266335289.
  EXPECT_NEAR(dispersion(model, data), 0.740266335289, 1e-7);
  const std::vector<RootogramBar> bars = rootogram(model, data);
  ASSERT_EQ(bars.size(), 10U);
  const double sum =
      std::accumulate(bars.begin(), bars.end(), 0.0, [](double s, const auto& b) { return s + b.observed; });
  EXPECT_DOUBLE_EQ(sum, 10);
  EXPECT_DOUBLE_EQ(bars[2].observed, 2);
  const Vector mean = model.mean(data).col(0);
  EXPECT_NEAR(bars[0].expected, (-mean.array()).exp().sum(), 1e-12);
  EXPECT_NEAR(bars[2].expected, ((-mean.array()).exp() * mean.array().square() / 2).sum(), 1e-12);
  const std::vector<RootogramBar> few = rootogram(model, data, 4);
  ASSERT_EQ(few.size(), 4U);
  EXPECT_TRUE(few[3].or_more);
  double expected = 0, observed = 0;
  for (const RootogramBar& bar : few) {
    expected += bar.expected;
    observed += bar.observed;
  }
  EXPECT_NEAR(expected, 10, 1e-12);
  EXPECT_DOUBLE_EQ(observed, 10);
  const MixtureModel line = fit(data, options_for(1)).model;
  EXPECT_TRUE(rootogram(line, data).empty());
  EXPECT_TRUE(std::isnan(dispersion(line, data))) << "the spread is estimated: n / (n - df) whatever the data";
  const MixtureModel times = fit(data, options_for(1, ExpertKind::poisson)).model;
  Data censored = data;
  censored.event = Vector::Ones(10);
  EXPECT_EQ(dispersion(times, censored), dispersion(times, data));
  censored.event(3) = 0;
  EXPECT_TRUE(std::isnan(dispersion(times, censored)));
}

// R: cooks.distance and hatvalues of lm(y ~ x), printed to ten digits. Leverage comes from central differences (1e-8).
TEST(Influence, OneLinearExpertAsInR) {
  const Data data = ten_rows();
  const FitOptions fitted = options_for(1);
  const Influence found = influence(data, fit(data, fitted).model, fitted);
  Vector hat(10), cook(10);
  hat << 0.3363365269, 0.2485248398, 0.1810164330, 0.1251824123, 0.1033563860, 0.1018336400, 0.1284816953, 0.1726413299,
      0.2563923609, 0.3462343760;
  cook << 2.173385834e-01, 2.074030632e-02, 2.381625721e-02, 4.695271931e-02, 6.004970302e-05, 7.527170013e-02,
      1.958797591e-02, 5.219605996e-01, 2.013484698e-01, 6.205052602e-02;
  EXPECT_EQ(found.parameters, 3);
  EXPECT_EQ(found.mean_parameters, 2);
  EXPECT_LT((found.leverage - hat).cwiseAbs().maxCoeff(), 1e-7);
  EXPECT_LT((found.cook_predictions - cook).cwiseAbs().maxCoeff(), 1e-7);
}

// R: cooks.distance and hatvalues of glm(y ~ x, poisson), whose iterations stop at 1e-8 relative deviance.
TEST(Influence, OnePoissonExpertAsInR) {
  const Data data = ten_rows();
  const FitOptions fitted = options_for(1, ExpertKind::poisson);
  const Influence found = influence(data, fit(data, fitted).model, fitted);
  Vector hat(10), cook(10);
  hat << 0.1800209940, 0.1772123127, 0.1691546836, 0.1521327531, 0.1351603586, 0.1200590583, 0.1179799534, 0.1501569070,
      0.2807973573, 0.5173256220;
  cook << 6.765285573e-03, 1.338786629e-01, 4.462697817e-02, 3.637830177e-02, 2.038913198e-02, 2.254088416e-02,
      9.026732450e-06, 3.116552770e-01, 1.464505491e-01, 9.612273094e-02;
  EXPECT_LT((found.leverage - hat).cwiseAbs().maxCoeff(), 1e-5);
  EXPECT_LT((found.cook_parameters - cook).cwiseAbs().maxCoeff(), 1e-5);
}

TEST(Influence, LeverageIsTheWeightedHatMatrix) {
  Data data = ten_rows();
  data.weights = Vector::LinSpaced(10, 0.5, 2.0);
  const FitOptions fitted = options_for(1);
  const Influence found = influence(data, fit(data, fitted).model, fitted);
  Matrix design(10, 2);
  design << Vector::Ones(10), data.expert_inputs;
  const Matrix weighted = data.weights.asDiagonal() * design;
  const Matrix hat = design * (design.transpose() * weighted).inverse() * weighted.transpose();
  EXPECT_LT((found.leverage - hat.diagonal()).cwiseAbs().maxCoeff(), 1e-7);
}

Data two_regimes(std::uint64_t seed, Index n) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(n, 1, [&] { return stream.uniform(-2, 2); });
  data.gate_inputs = data.expert_inputs;
  data.response.resize(n, 1);
  for (Index i = 0; i < n; ++i) {
    const double x = data.expert_inputs(i, 0);
    const bool first = stream.uniform() < 1 / (1 + std::exp(-x));
    data.response(i, 0) = (first ? 2 + 2 * x : -2 - x) + 0.7 * stream.normal();
  }
  return data;
}

// One step differs from the refit by terms of relative order (rows' share of information) ~ p / n = 7 / 400 per Newton
// step and the curvature of the likelihood over it: within 15 % for rows of ordinary weight, and nothing like 2 or 1/2.
TEST(Influence, OneStepAgreesWithLeavingOut) {
  const Data data = two_regimes(4, 400);
  const FitOptions fitted = options_for(2);
  const MixtureModel model = fit(data, fitted).model;
  const Influence found = influence(data, model, fitted);
  std::vector<Index> rows;
  for (Index t = 0; t < 400 && rows.size() < 6; ++t)
    if (found.likelihood_displacement(t) > 0.01 && found.likelihood_displacement(t) < 0.1) rows.push_back(t);
  ASSERT_EQ(rows.size(), 6U);
  for (const Deletion& deletion : delete_rows(data, model, fitted, found, rows, 1)) {
    ASSERT_TRUE(deletion.failure.empty()) << deletion.failure;
    EXPECT_NEAR(deletion.one_step / deletion.log_likelihood_drop, 1, 0.15) << "row " << deletion.row;
  }
}

TEST(OptimumCheck, KnowsAnOptimumFromOtherPoints) {
  const Data data = two_regimes(5, 150);
  const FitOptions fitted = options_for(2);
  const FitResult result = fit(data, fitted);
  const OptimumCheck good = check_optimum(data, result.model, fitted, 1);
  EXPECT_LT(good.mean_score, 1e-7);
  // Differences of a log-likelihood of order 300 over 1e-5: 300 * 2e-16 / 1e-5 = 6e-9 absolute, sqrt(I_ii) is above 1.
  EXPECT_LT(good.score_difference, 1e-6);
  EXPECT_LT(good.information_difference, 1e-6);
  EXPECT_GT(good.least_eigenvalue, 0);
  EXPECT_FALSE(good.flat);
  EXPECT_EQ(good.climb_steps, 20);
  EXPECT_LT(good.climb_drop, 1e-9 * std::abs(good.log_likelihood));
  MixtureModel moved = result.model;
  moved.experts[0].parameters()(0) += 0.2;
  EXPECT_GT(check_optimum(data, moved, fitted, 1).mean_score, 1e-3);
}

TEST(OptimumMap, GroupsWhatEndedTogether) {
  std::vector<StartRecord> records(6);
  records[0].log_likelihood = -100;
  records[1].log_likelihood = -120;
  records[2].log_likelihood = -100.00005;  // within 1e-6 of 100
  records[3].log_likelihood = -120.1;
  records[4].log_likelihood = -100;
  records[4].degenerate = true;
  const std::vector<OptimumGroup> groups = optimum_map(records);  // the last one was not polished
  int starts = 0;
  for (const OptimumGroup& group : groups) starts += group.starts;
  EXPECT_EQ(starts, 5);
  EXPECT_EQ(groups.front().log_likelihood, -100);
  EXPECT_EQ(groups.back().log_likelihood, -120.1);
}

TEST(Diagnosis, FindsAPlantedOutlier) {
  Data data = two_regimes(6, 150);
  data.response(17, 0) = 40;
  const FitOptions fitted = options_for(2);
  MixtureModel model = fit(two_regimes(6, 150), fitted).model;  // fitted without the outlier: no expert has seen it
  DiagnosisOptions options;
  options.map_starts = 0;
  options.top = 2;
  options.threads = 1;
  const FitDiagnosis diagnosis = diagnose(data, model, fitted, options);
  EXPECT_EQ(diagnosis.unexplained, std::vector<Index>{17});
  ASSERT_EQ(diagnosis.largest_residuals.size(), 2U);
  EXPECT_EQ(diagnosis.largest_residuals.front(), 17);
  EXPECT_NEAR(diagnosis.expert_rows.sum(), 150, 1e-9);
  EXPECT_LE(diagnosis.effective_rows(0), diagnosis.expert_rows(0));
  EXPECT_FALSE(diagnosis.warnings.empty());  // it is no optimum for the data with the outlier
}

}  // namespace
}  // namespace clearway
