// The bootstrap: intervals and standard errors against known distributions, alignment, clusters, threads, stopping.
#include "clearway/stat/bootstrap.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "clearway/base/random.hpp"
#include "clearway/stat/membership_alignment.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// y = 1 + 2 x + noise or -1 - x + noise, chosen by a softmax gate; far apart for small sigma.
Data two_regimes(std::uint64_t seed, Index n, double sigma) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(n, 1, [&] { return stream.uniform(-2, 2); });
  data.gate_inputs = data.expert_inputs;
  data.response.resize(n, 1);
  for (Index i = 0; i < n; ++i) {
    const double x = data.expert_inputs(i, 0);
    const bool first = stream.uniform() < 1 / (1 + std::exp(-x));
    data.response(i, 0) = (first ? 6 + 2 * x : -4 - x) + sigma * stream.normal();
  }
  return data;
}

Data normal_sample(std::uint64_t seed, Index n) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix(n, 0);
  data.gate_inputs = Matrix(n, 0);
  data.response = Matrix::NullaryExpr(n, 1, [&] { return 3 + 2 * stream.normal(); });
  return data;
}

FitOptions options_for(int experts, ExpertKind kind = ExpertKind::linear) {
  FitOptions options;
  options.experts = experts;
  options.expert.kind = kind;
  options.threads = 1;
  return options;
}

ModelNames names_for(const Data& data) {
  ModelNames names;
  names.responses = {"y"};
  for (Index j = 0; j < data.expert_inputs.cols(); ++j) names.expert_inputs.push_back(fmt::format("x{}", j + 1));
  for (Index j = 0; j < data.gate_inputs.cols(); ++j) names.gate_inputs.push_back(fmt::format("x{}", j + 1));
  return names;
}

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

// Replications that sit exactly at the quantiles i / (R + 1) of a standard normal, found by bisection.
std::vector<double> normal_quantiles(int count) {
  std::vector<double> values;
  for (int i = 1; i <= count; ++i) {
    double low = -10, high = 10;
    while (high - low > 1e-14) {
      const double middle = (low + high) / 2;
      (normal_cdf(middle) < i / (count + 1.0) ? low : high) = middle;
    }
    values.push_back(low);
  }
  return values;
}

// Between two order statistics the quantile is interpolated: an error of at most q''(p) / (8 (R+1)^2), where
// q'' = z / phi(z)^2 is about 600 at the probabilities used here: below 1e-4 for R = 999.
TEST(BootstrapInterval, EveryKindAgainstTheNormal) {
  const std::vector<double> draws = normal_quantiles(999);
  const double z = 1.959963984540054;
  const Interval percentile = bootstrap_interval(IntervalKind::percentile, 0.95, 0.0, draws);
  EXPECT_NEAR(percentile.low, -z, 1e-4);
  EXPECT_NEAR(percentile.high, z, 1e-4);
  // The estimate 0.3 below reflects the quantiles around it.
  const Interval basic = bootstrap_interval(IntervalKind::basic, 0.95, 0.3, draws);
  EXPECT_NEAR(basic.low, 0.6 - z, 1e-4);
  EXPECT_NEAR(basic.high, 0.6 + z, 1e-4);
  // Bias of the normal interval: mean 0 - 0.3; its spread is that of 999 quantiles, 0.5 % below 1.
  const Interval normal = bootstrap_interval(IntervalKind::normal, 0.95, 0.3, draws);
  EXPECT_NEAR(normal.low, 0.6 - z, 0.02);
  EXPECT_NEAR(normal.high, 0.6 + z, 0.02);
  // BCa: the formula of Efron (1987) with z0 = Phi^-1(share below the estimate) = 0.3 (to 1 / 999 / phi(0.3) = 0.003).
  const double a = 0.05, z0 = 0.3;
  const Interval bca = bootstrap_interval(IntervalKind::bca, 0.95, z0, draws, a);
  EXPECT_NEAR(bca.low, z0 + (z0 - z) / (1 - a * (z0 - z)), 0.01);
  EXPECT_NEAR(bca.high, z0 + (z0 + z) / (1 - a * (z0 + z)), 0.01);
}

TEST(BootstrapInterval, AccelerationOfAMeanIsItsSkewness) {
  // a = skewness / (6 sqrt n) for the mean (Efron and Tibshirani 1993, ch. 14): values 0, 0, 0, 4, mean 1.
  const std::vector<double> influence{-1, -1, -1, 3};
  const double skewness = (24.0 / 4) / std::pow(12.0 / 4, 1.5);
  EXPECT_NEAR(bca_acceleration(influence), skewness / (6 * 2), 1e-15);
  EXPECT_EQ(bca_acceleration(std::vector<double>{0, 0}), 0.0);
}

// The mean of a normal sample: drawn again from the fitted model it is N(ybar, s^2 / n) exactly.
TEST(Bootstrap, MeanOfANormalSample) {
  const Data data = normal_sample(1, 50);
  const FitOptions fitted = options_for(1, ExpertKind::constant);
  const MixtureModel model = fit(data, fitted).model;
  const double mean = model.experts[0].parameters()(0), error = model.experts[0].sigma() / std::sqrt(50.0);
  BootstrapOptions options;
  options.replications = 400;
  options.threads = 1;
  for (const BootstrapKind kind : {BootstrapKind::parametric, BootstrapKind::rows, BootstrapKind::weights}) {
    options.kind = kind;
    const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data));
    ASSERT_EQ(result.names.front().name, "(intercept)");
    const BootstrapEstimate& estimate = result.values.front();
    // A standard deviation of 400 draws is off by 1 / sqrt(800) = 3.5 % (one standard error); 4.5 of them allowed.
    EXPECT_NEAR(estimate.standard_error / error, 1, 4.5 / std::sqrt(800.0)) << enum_name(kind);
    EXPECT_NEAR(estimate.bias, 0, 4.5 * error / std::sqrt(400.0));
    // A 2.5 % quantile of 400 draws has standard error sqrt(.025 * .975 / 400) / phi(1.96) = 0.134 sd. The mean under
    // resampling is not exactly normal; 50 rows leave less than 0.05 sd of that.
    EXPECT_NEAR((estimate.interval.low - mean) / error, -1.96, 4.5 * 0.134 + 0.05);
    EXPECT_NEAR((estimate.interval.high - mean) / error, 1.96, 4.5 * 0.134 + 0.05);
    EXPECT_NEAR(estimate.wald_error, error, 1e-8 * error);
    EXPECT_EQ(result.count([](const BootstrapReplication& r) { return r.used(); }), 400);
  }
}

TEST(Bootstrap, WaldErrorOfAPredictionIsThatOfLeastSquares) {
  const Data data = two_regimes(2, 60, 0.5);
  const FitOptions fitted = options_for(1);
  const MixtureModel model = fit(data, fitted).model;
  Data rows;
  rows.expert_inputs = rows.gate_inputs = Matrix::Constant(1, 1, 1.5);
  rows.response = Matrix::Constant(1, 1, std::nan(""));
  BootstrapExtras extras;
  extras.new_rows = &rows;
  BootstrapOptions options;
  options.replications = 2;
  options.threads = 1;
  const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data), extras);
  const Vector x = data.expert_inputs.col(0);
  const double centre = x.mean(), spread = (x.array() - centre).square().sum();
  const double error = model.experts[0].sigma() * std::sqrt(1.0 / 60 + std::pow(1.5 - centre, 2) / spread);
  ASSERT_EQ(result.predictions.size(), 1U);
  EXPECT_NEAR(result.predictions[0].wald_error, error, 1e-7 * error);  // central differences: 1e-10 relative
  EXPECT_NEAR(result.predictions[0].estimate, model.mean(rows)(0, 0), 1e-12);
}

// Experts far apart: theory is as good as exact, and the bootstrap must agree with the observed information.
TEST(Bootstrap, AgreesWithWaldWhereExpertsAreFarApart) {
  const Data data = two_regimes(3, 250, 0.5);
  const FitOptions fitted = options_for(2);
  const MixtureModel model = fit(data, fitted).model;
  BootstrapOptions options;
  options.replications = 40;
  options.data_starts = 1;
  options.threads = 1;
  for (const BootstrapKind kind : {BootstrapKind::parametric, BootstrapKind::rows}) {
    options.kind = kind;
    const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data));
    EXPECT_EQ(result.count([](const BootstrapReplication& r) { return r.used() && !r.ambiguous; }), 40);
    for (std::size_t i = 0; i < result.values.size(); ++i) {
      const BootstrapEstimate& value = result.values[i];
      // Standard error of a ratio of standard deviations: 1 / sqrt(80) = 11 %, 4.5 of them; 15 % more for the rows
      // bootstrap, whose variance of a scale estimate depends on the sample's kurtosis.
      EXPECT_NEAR(value.standard_error / value.wald_error, 1, 4.5 / std::sqrt(80.0) + 0.15)
          << enum_name(kind) << ", " << result.names[i].part << ", " << result.names[i].name;
    }
  }
}

TEST(Bootstrap, SameForAnyNumberOfThreads) {
  const Data data = two_regimes(4, 80, 0.5);
  const FitOptions fitted = options_for(2);
  const MixtureModel model = fit(data, fitted).model;
  BootstrapOptions options;
  options.replications = 6;
  options.data_starts = 1;
  options.threads = 1;
  const BootstrapResult one = bootstrap(data, model, fitted, options, names_for(data));
  options.threads = 3;
  const BootstrapResult three = bootstrap(data, model, fitted, options, names_for(data));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(one.replications[i].values, three.replications[i].values);
}

// Every row four times, in clusters of four: the rows are worth a quarter of their number.
TEST(Bootstrap, ClustersAreDrawnAsAWhole) {
  const Data single = normal_sample(5, 40);
  std::vector<Index> rows;
  BootstrapExtras extras;
  for (Index i = 0; i < 160; ++i) {
    rows.push_back(i / 4);
    extras.clusters.push_back(static_cast<int>(i / 4) + 7);  // any numbers
  }
  const Data data = single.subset(rows);
  const FitOptions fitted = options_for(1, ExpertKind::constant);
  const MixtureModel model = fit(data, fitted).model;
  BootstrapOptions options;
  options.replications = 300;
  options.threads = 1;
  for (const BootstrapKind kind : {BootstrapKind::rows, BootstrapKind::weights}) {
    options.kind = kind;
    const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data), extras);
    EXPECT_EQ(result.clusters, 40);
    // Twice the error of 160 independent rows; 4.5 standard errors (1 / sqrt(600)) of a standard deviation.
    EXPECT_NEAR(result.values[0].standard_error / result.values[0].wald_error, 2, 2 * 4.5 / std::sqrt(600.0));
  }
  options.kind = BootstrapKind::parametric;
  EXPECT_THROW(bootstrap(data, model, fitted, options, names_for(data), extras), std::invalid_argument);
}

// Repeated measures: a group drawn twice counts as two groups, and a parametric draw keeps a group in one expert.
TEST(Bootstrap, GroupsOfRepeatedMeasures) {
  RandomStream stream(6);
  Data data;
  data.expert_inputs = Matrix(120, 0);
  data.gate_inputs = Matrix(120, 0);
  data.response.resize(120, 1);
  for (int g = 0; g < 30; ++g)
    for (Index i = 0; i < 4; ++i) {
      data.groups.push_back(g);
      data.response(4 * g + i, 0) = (g % 3 == 0 ? 2.0 : -2.0) + stream.normal();
    }
  FitOptions fitted = options_for(2, ExpertKind::constant);
  fitted.gate.kind = GateKind::constant;
  const MixtureModel model = fit(data, fitted).model;
  BootstrapOptions options;
  options.replications = 40;
  options.threads = 1;
  for (const BootstrapKind kind : {BootstrapKind::parametric, BootstrapKind::rows}) {
    options.kind = kind;
    const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data));
    EXPECT_EQ(result.clusters, 30);
    for (std::size_t i = 0; i < result.values.size(); ++i)  // as above: 4.5 / sqrt(80) + 0.15
      EXPECT_NEAR(result.values[i].standard_error / result.values[i].wald_error, 1, 4.5 / std::sqrt(80.0) + 0.15)
          << enum_name(kind) << ", " << result.names[i].part << ", " << result.names[i].name;
  }
}

TEST(Bootstrap, StopsWithWhatIsDone) {
  const Data data = normal_sample(7, 20);
  const FitOptions fitted = options_for(1, ExpertKind::constant);
  const MixtureModel model = fit(data, fitted).model;
  BootstrapOptions options;
  options.replications = 50;
  options.threads = 2;
  std::atomic<int> asked = 0;
  BootstrapExtras extras;
  extras.stop = [&] { return ++asked > 10; };
  const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data), extras);
  EXPECT_TRUE(result.stopped_early());
  EXPECT_EQ(result.count([](const BootstrapReplication& r) { return r.done; }), 10);
  EXPECT_GT(result.values[0].standard_error, 0);
  EXPECT_NE(bootstrap_text(result).find("stopped after 10"), std::string::npos);
}

TEST(Bootstrap, AFailedReplicationIsCounted) {
  Data data = normal_sample(8, 6);
  data.response.setConstant(1);
  data.response(0, 0) = 2;
  FitOptions fitted = options_for(1, ExpertKind::constant);
  fitted.noise = NoiseKind::uniform;  // needs a response that varies: draws without row 0 have none
  const MixtureModel model = fit(data, fitted).model;
  BootstrapOptions options;
  options.replications = 40;
  options.threads = 1;
  const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data));
  // Chance (5/6)^6 = 0.335 each: between 1 and 39 of 40 but for a chance below 1e-6.
  const int failed = result.count([](const BootstrapReplication& r) { return !r.failure.empty(); });
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 40);
  EXPECT_LE(result.count([](const BootstrapReplication& r) { return r.used(); }), 40 - failed);
}

TEST(MembershipAlignment, FindsThePermutation) {
  RandomStream stream(9);
  Matrix r = Matrix::NullaryExpr(50, 3, [&] { return std::exp(2 * stream.normal()); });
  r = r.rowwise().sum().cwiseInverse().asDiagonal() * r;
  Matrix shuffled(50, 3);
  shuffled << r.col(2), r.col(0), r.col(1);
  const MembershipAlignment found = align_memberships(shuffled, r, Vector());
  EXPECT_EQ(found.order, (std::vector<int>{1, 2, 0}));
  EXPECT_NEAR(found.agreement, 1, 1e-14);
  EXPECT_FALSE(found.ambiguous);
  // Two refitted experts that are copies of one original: one of them must play another's part.
  Matrix copies(50, 3);
  copies << 0.5 * (r.col(0) + r.col(1)), 0.5 * (r.col(0) + r.col(1)), r.col(2);
  copies.col(0) *= 1.2;
  copies.col(1) *= 0.8;
  EXPECT_TRUE(align_memberships(copies, r, Vector()).ambiguous);
  EXPECT_THROW(align_memberships(r, r.topRows(49), Vector()), std::invalid_argument);
}

// A coefficient that is fixed for one expert tells it from the others: its values stay where they were fixed in every
// replication, whatever memberships say.
TEST(Bootstrap, ConstraintsKeepTheirExpert) {
  RandomStream stream(31);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(120, 1, [&] { return stream.normal(); });
  data.gate_inputs = Matrix::Zero(120, 0);
  data.response.resize(120, 1);
  for (Eigen::Index i = 0; i < 120; ++i)  // two lines that overlap: memberships alone would often change places
    data.response(i, 0) = (i % 2 == 0 ? 1.0 : 0.8 * data.expert_inputs(i, 0)) + 0.7 * stream.normal();
  FitOptions fitted = options_for(2, ExpertKind::linear);
  fitted.gate.kind = GateKind::constant;
  fitted.constraints.fixed = {{false, 0, 1, 0.0}};
  const MixtureModel model = fit(data, fitted).model;
  ASSERT_EQ(model.experts[0].parameters()(1), 0.0);
  BootstrapOptions options;
  options.replications = 12;
  options.data_starts = 1;
  options.threads = 1;
  const BootstrapResult result = bootstrap(data, model, fitted, options, names_for(data));
  std::size_t place = 0;
  while (result.names[place] != ValueName{"expert 1", "x1"}) ++place;
  for (const BootstrapReplication& replication : result.replications) {
    ASSERT_TRUE(replication.failure.empty()) << replication.failure;
    EXPECT_EQ(replication.values(static_cast<Eigen::Index>(place)), 0.0);
  }
  for (std::size_t i = 0; i < result.values.size(); ++i) EXPECT_EQ(result.values[i].fixed, i == place) << i;
  EXPECT_TRUE(std::isnan(result.values[place].standard_error));
  EXPECT_NE(bootstrap_text(result).find("fixed"), std::string::npos);
}

TEST(MembershipAlignment, ImpossibleParts) {
  RandomStream stream(32);
  Matrix r = Matrix::NullaryExpr(40, 3, [&] { return std::exp(2 * stream.normal()); });
  r = r.rowwise().sum().cwiseInverse().asDiagonal() * r;
  Matrix shuffled(40, 3);
  shuffled << r.col(1), r.col(0), r.col(2);
  ExpertParts possible = ExpertParts::Constant(3, 3, true);
  possible(0, 1) = possible(2, 1) = possible(1, 0) = possible(1, 2) = false;  // expert 1 keeps its place
  const MembershipAlignment found = align_memberships(shuffled, r, Vector(), possible);
  EXPECT_EQ(found.order[1], 1);
  MixtureModel model;
  model.gate = Gate({.kind = GateKind::constant}, 0, 3);
  for (int k = 0; k < 3; ++k) model.experts.emplace_back(ExpertSpec{}, 1);
  EXPECT_TRUE(possible_parts(model, model).all());
  model.constraints.fixed = {{false, 2, 0, 1.5}};
  const MixtureModel renumbered = model.permuted({2, 0, 1});
  const ExpertParts parts = possible_parts(renumbered, model);
  EXPECT_TRUE(parts(0, 2));
  EXPECT_FALSE(parts(0, 0));
  EXPECT_FALSE(parts(1, 2));
  EXPECT_EQ(parts.count(), 5);  // the constrained one with itself, the two others with each other
}

}  // namespace
}  // namespace clearway
