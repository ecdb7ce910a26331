// fit() as a user meets it: closed forms, invariances, reports of degenerate problems, wrong use.
#include "clearway/stat/fit.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>

#include <cmath>
#include <numeric>

#include "clearway/base/random.hpp"

namespace clearway {
namespace {

// Two linear regimes in d inputs behind a softmax gate; standard deviation sigma.
Data two_regimes(std::uint64_t seed, Eigen::Index n, int d, double sigma = 0.5) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(n, d, [&] { return stream.uniform(-2, 2); });
  data.gate_inputs = data.expert_inputs;
  data.response.resize(n, 1);
  for (Eigen::Index i = 0; i < n; ++i) {
    const double x = data.expert_inputs(i, 0);
    const bool first = stream.uniform() < 1 / (1 + std::exp(-2 * x));
    data.response(i, 0) = (first ? 1 + 2 * x : -1 - x) + sigma * stream.normal();
  }
  return data;
}

FitOptions quick(int experts) {
  FitOptions options;
  options.experts = experts;
  options.threads = 1;
  return options;
}

TEST(Fit, OneExpertIsOrdinaryLeastSquares) {
  const Data data = two_regimes(1, 300, 3);
  const FitResult result = fit(data, quick(1));
  Matrix design(300, 4);
  design << Vector::Ones(300), data.expert_inputs;
  const Vector y = data.response.col(0);
  const Vector b = (design.transpose() * design).inverse() * (design.transpose() * y);
  const double variance = (y - design * b).squaredNorm() / 300;
  // The maximum of a Gaussian likelihood: -n/2 (log(2 pi s^2) + 1).
  EXPECT_NEAR(result.log_likelihood, -150 * (std::log(2 * M_PI * variance) + 1), 1e-8);
  EXPECT_LT((result.model.experts[0].parameters().head(4) - b).cwiseAbs().maxCoeff(), 1e-9);
  EXPECT_EQ(result.degrees_of_freedom, 5);
  EXPECT_NEAR(result.bic, -2 * result.log_likelihood + 5 * std::log(300.0), 1e-9);
  EXPECT_NEAR(result.aic, -2 * result.log_likelihood + 10, 1e-9);
  EXPECT_TRUE(result.converged);
}

// Collinear inputs change neither the likelihood nor the number of parameters that it determines (R: lm, multinom).
TEST(Fit, CollinearInputsAreNoParameters) {
  for (const int experts : {1, 2}) {
    const FitOptions options = quick(experts);
    const Data plain = two_regimes(3, 400, 1);
    Data more = plain;
    more.expert_inputs.conservativeResize(Eigen::NoChange, 2);
    more.expert_inputs.col(1) = 3 - 2 * plain.expert_inputs.col(0).array();
    more.gate_inputs = more.expert_inputs;
    const FitResult one = fit(plain, options), two = fit(more, options);
    EXPECT_EQ(two.degrees_of_freedom, one.degrees_of_freedom);
    EXPECT_NEAR(two.log_likelihood, one.log_likelihood, 1e-6 * std::abs(one.log_likelihood));
    EXPECT_NEAR(two.bic, one.bic, 1e-5 * std::abs(one.bic));
  }
}

// A few rows that an expert fits almost exactly, above the floor of the noise level.
TEST(FitFaults, SpuriousMaximaAreSaid) {
  RandomStream stream(9);
  Data data;
  data.expert_inputs.resize(60, 1);
  data.response.resize(60, 1);
  for (Eigen::Index i = 0; i < 60; ++i) {
    data.expert_inputs(i, 0) = stream.uniform(-1, 1);
    data.response(i, 0) = i < 5 ? 30 + data.expert_inputs(i, 0) + 0.02 * stream.normal() : 2 * stream.normal();
  }
  data.gate_inputs.resize(60, 0);
  FitOptions options = quick(2);
  const FitResult result = fit(data, options);
  const auto said = [](const std::string& warning) { return warning.find("spurious") != std::string::npos; };
  EXPECT_EQ(std::count_if(result.warnings.begin(), result.warnings.end(), said), 1);
  options.expert.variance = VarianceKind::shared;
  const FitResult shared = fit(data, options);
  EXPECT_EQ(std::count_if(shared.warnings.begin(), shared.warnings.end(), said), 0);
}

TEST(Fit, ResultSaysNotFittedBeforeItIs) {
  EXPECT_EQ(FitResult{}.brief(), "not fitted yet");
  EXPECT_EQ(FitResult{}.reason, StopReason::not_fitted);
}

// Statmoe D.2 row 20: what cannot matter does not, to 1e-9 relative.
TEST(FitInvariance, RowsWeightsScalesAndThreads) {
  const Data data = two_regimes(2, 400, 2);
  const FitResult base = fit(data, quick(2));
  const double tolerance = 1e-9 * std::abs(base.log_likelihood);
  ASSERT_TRUE(base.converged);

  RandomStream stream(3);
  std::vector<Eigen::Index> order;
  for (std::size_t i : stream.permutation(400)) order.push_back(static_cast<Eigen::Index>(i));
  EXPECT_NEAR(fit(data.subset(order), quick(2)).log_likelihood, base.log_likelihood, tolerance);

  // Every row twice, and every row with weight 2.
  std::vector<Eigen::Index> twice;
  for (Eigen::Index i = 0; i < 400; ++i) twice.insert(twice.end(), {i, i});
  Data weighted = data;
  weighted.weights = Vector::Constant(400, 2.0);
  EXPECT_NEAR(fit(data.subset(twice), quick(2)).log_likelihood, 2 * base.log_likelihood, 2 * tolerance);
  EXPECT_NEAR(fit(weighted, quick(2)).log_likelihood, 2 * base.log_likelihood, 2 * tolerance);

  // Other units: the likelihood moves by the Jacobian, the coefficients with the units.
  Data scaled = data;
  scaled.expert_inputs = (data.expert_inputs.array() * 100 + 2000).matrix();
  scaled.gate_inputs = scaled.expert_inputs;
  scaled.response = (data.response.array() * 0.01 - 7).matrix();
  const FitResult moved = fit(scaled, quick(2));
  EXPECT_NEAR(moved.log_likelihood, base.log_likelihood + 400 * std::log(100.0), tolerance);
  for (std::size_t k = 0; k < 2; ++k)
    EXPECT_NEAR(moved.model.experts[k].parameters()(1) / base.model.experts[k].parameters()(1), 1e-4, 1e-10);

  FitOptions threads = quick(2);
  threads.threads = 4;
  const FitResult parallel = fit(data, threads);
  EXPECT_EQ(parallel.log_likelihood, base.log_likelihood);
  EXPECT_EQ(parallel.model.gate.parameters(), base.model.gate.parameters());
}

TEST(FitInvariance, LargeDataGiveTheSameBytesForAnyNumberOfThreads) {
  const Data data = two_regimes(4, 30000, 2);
  FitOptions one = quick(2), three = quick(2);
  three.threads = 3;
  const FitResult a = fit(data, one), b = fit(data, three);
  EXPECT_EQ(a.log_likelihood, b.log_likelihood);
  for (std::size_t k = 0; k < 2; ++k) EXPECT_EQ(a.model.experts[k].parameters(), b.model.experts[k].parameters());
}

TEST(FitInvariance, ZeroWeightIsAbsence) {
  const Data data = two_regimes(5, 300, 2);
  Data weighted = data;
  weighted.weights = Vector::Ones(300);
  std::vector<Eigen::Index> kept;
  for (Eigen::Index i = 0; i < 300; ++i)
    if (i % 5 == 0)
      weighted.weights(i) = 0;
    else
      kept.push_back(i);
  const double expected = fit(data.subset(kept), quick(2)).log_likelihood;
  EXPECT_NEAR(fit(weighted, quick(2)).log_likelihood, expected, 1e-9 * std::abs(expected));
}

// Statmoe B.2: the faults of other packages, each as a test that they are not ours.
TEST(FitFaults, LargerModelsNeverEndBelowSmallerOnes) {
  for (std::uint64_t seed : {6, 7, 8}) {
    const Data data = two_regimes(seed, 150, 1);
    const auto value = [&](GateKind gate, ExpertKind expert, VarianceKind variance) {
      FitOptions options = quick(2);
      options.gate.kind = gate;
      options.expert.kind = expert;
      options.expert.variance = variance;
      return fit(data, options).log_likelihood;
    };
    const double constant = value(GateKind::constant, ExpertKind::linear, VarianceKind::separate);
    const double softmax = value(GateKind::softmax, ExpertKind::linear, VarianceKind::separate);
    EXPECT_GE(softmax, constant - 1e-6);
    EXPECT_GE(constant, value(GateKind::equal, ExpertKind::linear, VarianceKind::separate) - 1e-6);
    EXPECT_GE(softmax, value(GateKind::softmax, ExpertKind::linear, VarianceKind::shared) - 1e-6);
    EXPECT_GE(softmax, value(GateKind::softmax, ExpertKind::constant, VarianceKind::separate) - 1e-6);
    EXPECT_GE(value(GateKind::softmax, ExpertKind::student_t, VarianceKind::separate), softmax - 1e-6);
    EXPECT_GE(value(GateKind::quadratic, ExpertKind::linear, VarianceKind::separate), softmax - 1e-6);
    for (GateKind gate : {GateKind::sigmoid, GateKind::laplace, GateKind::gaussian})
      EXPECT_GE(value(gate, ExpertKind::linear, VarianceKind::separate), constant - 1e-6) << enum_name(gate);
  }
}

TEST(FitFaults, NoExpertIsDropped) {
  const Data data = two_regimes(9, 200, 1);
  for (int k : {2, 4, 6}) {
    const FitResult result = fit(data, quick(k));
    EXPECT_EQ(result.model.expert_count(), k);
    EXPECT_EQ(result.shares.size(), k);
    EXPECT_NEAR(result.shares.sum(), 1, 1e-12);
    EXPECT_TRUE(std::isfinite(result.log_likelihood));
  }
}

TEST(FitFaults, SeparationOfTheGateIsReportedAndRegularised) {
  // Two regimes with a hard border at x = 0 and a gap: the gate's slope has no finite maximum.
  RandomStream stream(10);
  Data data;
  data.expert_inputs.resize(80, 1);
  data.response.resize(80, 1);
  for (Eigen::Index i = 0; i < 80; ++i) {
    const double x = (i < 40 ? -1 : 1) * (0.5 + stream.uniform());
    data.expert_inputs(i, 0) = x;
    data.response(i, 0) = (x < 0 ? 5 - x : -5 + 2 * x) + 0.3 * stream.normal();
  }
  data.gate_inputs = data.expert_inputs;
  const FitResult result = fit(data, quick(2));
  EXPECT_TRUE(result.gate_separated);
  EXPECT_GT(result.supremum_log_likelihood, result.log_likelihood);
  EXPECT_LT(result.model.gate.parameters().cwiseAbs().maxCoeff(), 100);
  // The supremum is known: with the gate perfect, the likelihood is that of two separate regressions.
  double closed = 0;
  for (int side : {0, 1}) {
    Matrix design(40, 2);
    design << Vector::Ones(40), data.expert_inputs.middleRows(40 * side, 40);
    const Vector y = data.response.col(0).segment(40 * side, 40);
    const Vector b = (design.transpose() * design).inverse() * (design.transpose() * y);
    closed -= 20 * (std::log(2 * M_PI * (y - design * b).squaredNorm() / 40) + 1);
  }
  EXPECT_NEAR(result.supremum_log_likelihood, closed, 1e-3);
}

TEST(FitFaults, SpikesAreFlaggedAndSetAside) {
  Data data = two_regimes(11, 120, 1);
  for (Eigen::Index i = 0; i < 8; ++i) data.response(10 * i, 0) = 3 * data.expert_inputs(10 * i, 0);  // exact points
  FitOptions options = quick(3);
  const FitResult regular = fit(data, options);
  EXPECT_NE(regular.reason, StopReason::degenerate);
  options.keep_degenerate = true;
  const FitResult spiked = fit(data, options);
  EXPECT_EQ(spiked.reason, StopReason::degenerate);
  EXPECT_GT(spiked.log_likelihood, regular.log_likelihood);
  EXPECT_FALSE(spiked.warnings.empty());
}

TEST(Fit, UniformNoiseTakesTheOutliers) {
  Data data = two_regimes(12, 1000, 1, 0.3);
  RandomStream stream(13);
  for (Eigen::Index i = 0; i < 1000; i += 20) data.response(i, 0) = stream.uniform(-20, 20);
  FitOptions options = quick(2);
  options.noise = NoiseKind::uniform;
  const FitResult result = fit(data, options);
  // 5 % of the rows are outliers; the estimate of a share from 1000 rows has a standard error of 0.7 %, and an outlier
  // lies within 3 sigma of a regime in some 10 % of cases.
  EXPECT_NEAR(result.model.noise_weight, 0.05, 0.02);
  EXPECT_NEAR(result.shares(2), result.model.noise_weight, 1e-6);
  for (const Expert& expert : result.model.experts) {
    // The regimes have slopes 2 and -1 and intercepts 1 and -1; standard errors are sigma / sqrt(n / 2) = 0.013 and
    // larger at the far end; five of them.
    const bool first = expert.parameters()(1) > 0;
    EXPECT_NEAR(expert.parameters()(1), first ? 2 : -1, 0.1);
    EXPECT_NEAR(expert.parameters()(0), first ? 1 : -1, 0.1);
    EXPECT_NEAR(expert.sigma(), 0.3, 0.05);
  }
}

TEST(Fit, UserStartJoinsTheTournament) {
  const Data data = two_regimes(14, 200, 1);
  const FitResult first = fit(data, quick(2));
  const FitResult again = fit(data, quick(2), &first.model);
  EXPECT_NEAR(again.log_likelihood, first.log_likelihood, 1e-8 * std::abs(first.log_likelihood));
  EXPECT_THROW(fit(data, quick(3), &first.model), std::invalid_argument);
}

TEST(Fit, WrongUseNamesTheOptionAndTheRule) {
  const Data data = two_regimes(15, 20, 1);
  const auto expect_error = [&](FitOptions options, const std::string& part) {
    try {
      fit(data, options);
      ADD_FAILURE() << "no error for: " << part;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  FitOptions options = quick(0);
  expect_error(options, "experts");
  options = quick(21);
  expect_error(options, "21 experts for 20 rows");
  options = quick(2);
  options.gate.temperature = 0;
  expect_error(options, "gate-temperature");
  options = quick(2);
  options.method = FitMethod::spectral;  // one input cannot carry two experts
  expect_error(options, "spectral");
  options = quick(2);
  options.expert.kind = ExpertKind::poisson;
  expect_error(options, "count");
  options = quick(2);
  options.expert.kind = ExpertKind::student_t;
  options.expert.variance = VarianceKind::shared;
  expect_error(options, "shared");
}

}  // namespace
}  // namespace clearway
