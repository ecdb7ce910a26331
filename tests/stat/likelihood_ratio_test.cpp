// Likelihood-ratio tests: closed forms, the law of the p-value, early stopping, what is nested in what.
#include "clearway/stat/likelihood_ratio.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/base/random.hpp"

namespace clearway {
namespace {

using Eigen::Index;

Data line(std::uint64_t seed, Index n, double slope) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(n, 1, [&] { return stream.uniform(-1, 1); });
  data.gate_inputs = data.expert_inputs;
  data.response = slope * data.expert_inputs + Matrix::NullaryExpr(n, 1, [&] { return stream.normal(); });
  return data;
}

TestedModel tested(const Data& data, int experts, ExpertKind kind = ExpertKind::linear) {
  TestedModel model;
  model.data = &data;
  model.options.experts = experts;
  model.options.expert.kind = kind;
  model.options.threads = 1;
  return model;
}

LikelihoodRatioOptions replications(int count, int stop_after = 0) {
  LikelihoodRatioOptions options;
  options.replications = count;
  options.stop_after = stop_after;
  options.data_starts = 1;
  options.threads = 1;
  return options;
}

TEST(LikelihoodRatio, StraightLineAgainstConstantAsInR) {
  Data data;
  data.expert_inputs.resize(10, 1);
  data.expert_inputs << 0.1, 0.5, 0.9, 1.4, 1.8, 2.2, 2.7, 3.1, 3.6, 4.0;
  data.gate_inputs = data.expert_inputs;
  data.response.resize(10, 1);
  data.response << 1, 0, 2, 1, 3, 2, 4, 9, 5, 8;
  const LikelihoodRatioTest test =
      likelihood_ratio_test(tested(data, 1, ExpertKind::constant), tested(data, 1), replications(0));
  // R: 2 * (logLik(lm(y ~ x)) - logLik(lm(y ~ 1))) = 12.9900808167, printed to 12 digits.
  EXPECT_NEAR(test.statistic, 12.9900808167, 1e-9);
  EXPECT_EQ(test.degrees_of_freedom, 1);
  EXPECT_TRUE(test.nesting.regular);
  // P(chi-square_1 > s) = erfc(sqrt(s / 2)).
  EXPECT_NEAR(test.chi_square_p, std::erfc(std::sqrt(test.statistic / 2)), 1e-14);
  EXPECT_TRUE(std::isnan(test.bootstrap_p));
  EXPECT_NEAR(chi_square_p(3.5, 2), 0.17377394345, 1e-11);  // R: pchisq(3.5, 2, lower.tail = FALSE) = exp(-1.75)
}

// Under the null the p-value of a Monte Carlo test is uniform on 1/20 .. 20/20 when 19 data sets are drawn (the
// parameters are estimated, but the statistic of a straight line has the same law for all of them).
TEST(LikelihoodRatio, BootstrapPIsUniformUnderTheNull) {
  constexpr int kData = 60;
  std::vector<double> p;
  for (int i = 0; i < kData; ++i) {
    const Data data = line(100 + static_cast<std::uint64_t>(i), 15, 0.0);
    LikelihoodRatioOptions options = replications(19);
    options.seed = i;
    p.push_back(likelihood_ratio_test(tested(data, 1, ExpertKind::constant), tested(data, 1), options).bootstrap_p);
  }
  // Kolmogorov's distance stays below sqrt(log(2 / 1e-5) / 2 / 60) = 0.319 with probability 1 - 1e-5.
  double distance = 0;
  for (int cell = 1; cell <= 20; ++cell) {
    const auto below = std::count_if(p.begin(), p.end(), [&](double value) { return value <= cell / 20.0 + 1e-9; });
    distance = std::max(distance, std::abs(static_cast<double>(below) / kData - cell / 20.0));
  }
  EXPECT_LT(distance, 0.319);
}

Data two_lines(std::uint64_t seed, Index n) {
  Data data = line(seed, n, 0.0);
  for (Index i = 0; i < n; ++i) data.response(i, 0) = 0.5 * data.response(i, 0) + (i % 2 == 0 ? 4 : -4);
  return data;
}

TEST(LikelihoodRatio, OneExpertAgainstTwoFarApart) {
  const Data data = two_lines(1, 60);
  const LikelihoodRatioTest test = likelihood_ratio_test(tested(data, 1), tested(data, 2), replications(9));
  EXPECT_FALSE(test.nesting.regular);
  EXPECT_TRUE(std::isnan(test.chi_square_p));
  EXPECT_GT(test.statistic, 50);
  EXPECT_EQ(test.exceeding, 0);
  EXPECT_DOUBLE_EQ(test.bootstrap_p, 0.1);  // 1 / (9 + 1): the smallest that nine data sets can give
  // The larger model contains the smaller one, and every replication must show it.
  for (const double value : test.replications) EXPECT_GE(value, -2e-6);
  EXPECT_NE(likelihood_ratio_text(test).find("does not apply"), std::string::npos);
}

TEST(LikelihoodRatio, StopsEarlyAndTheSameForAnyNumberOfThreads) {
  const Data data = line(3, 20, 0.0);
  LikelihoodRatioOptions options = replications(500, 4);
  const TestedModel null = tested(data, 1, ExpertKind::constant), alternative = tested(data, 1);
  const LikelihoodRatioTest one = likelihood_ratio_test(null, alternative, options);
  ASSERT_TRUE(one.stopped_early);
  EXPECT_EQ(one.exceeding, 4);
  EXPECT_DOUBLE_EQ(one.bootstrap_p, 4.0 / static_cast<double>(one.replications.size()));  // Besag and Clifford 1991
  EXPECT_GE(one.replications.back(), one.statistic - 1e-5);  // the last one is the one that ended it
  options.threads = 3;
  EXPECT_EQ(likelihood_ratio_test(null, alternative, options).replications, one.replications);
}

TEST(LikelihoodRatio, MonteCarloIntervals) {
  // R: binom.test(3, 20)$conf.int = 0.03207093719 0.37892682655.
  const MonteCarloP fixed = monte_carlo_p(3, 20, false);
  EXPECT_DOUBLE_EQ(fixed.p, 4.0 / 21);
  EXPECT_NEAR(fixed.interval.low, 0.03207093719, 1e-9);
  EXPECT_NEAR(fixed.interval.high, 0.37892682655, 1e-9);
  const MonteCarloP none = monte_carlo_p(0, 10, false);
  EXPECT_EQ(none.interval.low, 0);
  EXPECT_NEAR(none.interval.high, 1 - std::pow(0.025, 0.1), 1e-12);
  // Stopped at the first trial: P(N <= 1) = p = 0.025 below, nothing excludes 1 above.
  const MonteCarloP first = monte_carlo_p(1, 1, true);
  EXPECT_DOUBLE_EQ(first.p, 1);
  EXPECT_NEAR(first.interval.low, 0.025, 1e-12);
  EXPECT_EQ(first.interval.high, 1);
  // Stopped at trial 10 by the first one: (1 - p)^9 = 0.025 above.
  EXPECT_NEAR(monte_carlo_p(1, 10, true).interval.high, 1 - std::pow(0.025, 1.0 / 9), 1e-12);
}

TEST(LikelihoodRatio, WhatIsNestedAndWhatIsRegular) {
  const Data data = line(4, 20, 1.0);
  Data more = data;
  more.expert_inputs.conservativeResize(20, 2);
  more.expert_inputs.col(1) = data.expert_inputs.col(0).cwiseAbs2();
  const TestedModel two = tested(data, 2);
  const auto compare = [&](auto change_null, auto change_alternative) {
    TestedModel null = two, alternative = two;
    change_null(null.options);
    change_alternative(alternative.options);
    return nesting_of(null, alternative);
  };
  const auto keep = [](FitOptions&) {};
  const auto gate = [](GateKind kind) { return [kind](FitOptions& o) { o.gate.kind = kind; }; };
  Nesting n = compare(gate(GateKind::constant), keep);
  EXPECT_TRUE(n.nested && n.regular);
  n = compare(gate(GateKind::constant), gate(GateKind::laplace));
  EXPECT_TRUE(n.nested && !n.regular);
  n = compare(gate(GateKind::laplace), keep);
  EXPECT_FALSE(n.nested);
  n = compare([](FitOptions& o) { o.expert.variance = VarianceKind::shared; }, keep);
  EXPECT_TRUE(n.nested && n.regular);
  n = compare(keep, [](FitOptions& o) { o.expert.kind = ExpertKind::student_t; });
  EXPECT_TRUE(n.nested && !n.regular);
  n = compare(keep, [](FitOptions& o) { o.noise = NoiseKind::uniform; });
  EXPECT_TRUE(n.nested && !n.regular);
  n = compare(keep, [](FitOptions& o) { o.experts = 3; });
  EXPECT_TRUE(n.nested && !n.regular);
  n = compare([](FitOptions& o) { o.experts = 3; }, keep);
  EXPECT_FALSE(n.nested);
  n = compare(keep, keep);
  EXPECT_FALSE(n.nested);
  EXPECT_TRUE(nesting_of(two, tested(more, 2)).regular);
  EXPECT_FALSE(nesting_of(tested(more, 2), two).nested);
  Data no_gate = data, no_inputs = data;
  no_gate.gate_inputs.resize(20, 0);
  no_inputs.expert_inputs.resize(20, 0);
  EXPECT_TRUE(nesting_of(tested(no_gate, 2), two).nested);
  EXPECT_FALSE(nesting_of(two, tested(no_gate, 2)).nested);
  EXPECT_TRUE(nesting_of(tested(no_inputs, 2), two).regular);
  EXPECT_FALSE(nesting_of(two, tested(no_inputs, 2)).nested);
  EXPECT_THROW(likelihood_ratio_test(tested(data, 3), two, replications(0)), std::invalid_argument);
  Data other = data;
  other.response(0, 0) += 1;
  EXPECT_THROW(likelihood_ratio_test(two, tested(other, 3), replications(0)), std::invalid_argument);
}

// Any linear combination of the alternative's inputs is in it: a straight line in a basis, and the same basis turned.
TEST(LikelihoodRatio, CombinationsOfInputsAreNested) {
  const Data one = line(5, 40, 1.0);
  Data basis = one, turned = one, other = one;
  const auto x = one.expert_inputs.col(0).array();
  basis.expert_inputs.resize(40, 2);
  basis.expert_inputs << (x + x.square()).matrix(), (x - x.square()).matrix();  // x is half their sum
  turned.expert_inputs.resize(40, 2);
  turned.expert_inputs << x.square().matrix() + Vector::Constant(40, 7.0), x.matrix();
  other.expert_inputs.resize(40, 2);
  other.expert_inputs << x.square().matrix(), x.cube().matrix();
  const Nesting within = nesting_of(tested(one, 2), tested(basis, 2));
  EXPECT_TRUE(within.nested && within.regular);
  EXPECT_FALSE(nesting_of(tested(one, 2), tested(other, 2)).nested);
  EXPECT_NE(nesting_of(tested(basis, 2), tested(turned, 2)).reasons.front().find("the same"), std::string::npos);
  // One expert: the statistic is that of least squares, n log(RSS0 / RSS1), which does not depend on the basis.
  const double in_basis = likelihood_ratio_test(tested(one, 1), tested(basis, 1), replications(0)).statistic;
  const double in_turned = likelihood_ratio_test(tested(one, 1), tested(turned, 1), replications(0)).statistic;
  EXPECT_NEAR(in_basis, in_turned, 1e-6);
}

// Distances between more inputs are no special case of those between fewer; a combination of inputs is none either.
TEST(LikelihoodRatio, GatesThatMeasureDistancesDoNotNestByInputs) {
  const Data one = line(6, 30, 1.0);
  Data more = one;
  more.gate_inputs.conservativeResize(30, 2);
  more.gate_inputs.col(1) = one.gate_inputs.col(0).cwiseAbs2();
  const auto compare = [&](GateKind kind) {
    TestedModel null = tested(one, 2), alternative = tested(more, 2);
    null.options.gate.kind = alternative.options.gate.kind = kind;
    return nesting_of(null, alternative);
  };
  EXPECT_TRUE(compare(GateKind::softmax).regular);
  EXPECT_FALSE(compare(GateKind::laplace).nested);
  EXPECT_FALSE(compare(GateKind::cosine).nested);
  EXPECT_TRUE(compare(GateKind::gaussian).nested);
  EXPECT_FALSE(compare(GateKind::gaussian).regular);
}

TEST(LikelihoodRatio, FixedAndSharedParameters) {
  const Data data = two_lines(7, 80);
  const TestedModel free = tested(data, 2);
  const auto with = [&](int experts, std::vector<FixedParameter> fixed, std::vector<int> shared) {
    TestedModel model = tested(data, experts);
    model.options.constraints.fixed = std::move(fixed);
    model.options.constraints.shared = std::move(shared);
    return model;
  };
  const TestedModel no_slopes = with(2, {{false, 0, 1, 0.0}, {false, 1, 1, 0.0}}, {});
  const TestedModel one_slope = with(2, {}, {1});
  const TestedModel first_flat = with(2, {{false, 0, 1, 0.0}}, {});
  const TestedModel all_alike = with(2, {{false, 0, 1, 0.0}, {false, 1, 1, 0.0}}, {0, 2});
  EXPECT_TRUE(nesting_of(no_slopes, free).regular);
  EXPECT_TRUE(nesting_of(one_slope, free).regular);
  EXPECT_TRUE(nesting_of(no_slopes, one_slope).regular);  // equal values are shared values
  EXPECT_TRUE(nesting_of(no_slopes, first_flat).regular);
  EXPECT_TRUE(nesting_of(all_alike, free).nested);
  EXPECT_FALSE(nesting_of(all_alike, free).regular);  // one expert in truth
  EXPECT_FALSE(nesting_of(one_slope, no_slopes).nested);
  EXPECT_FALSE(nesting_of(first_flat, no_slopes).nested);
  EXPECT_FALSE(nesting_of(free, one_slope).nested);
  EXPECT_FALSE(nesting_of(one_slope, one_slope).nested);  // the same
  // Said of all experts, it may be said of more of them; said of one, its number means nothing in a larger model.
  EXPECT_TRUE(nesting_of(one_slope, with(3, {}, {1})).nested);
  EXPECT_TRUE(nesting_of(no_slopes, with(3, {{false, 0, 1, 0.0}, {false, 1, 1, 0.0}, {false, 2, 1, 0.0}}, {})).nested);
  EXPECT_FALSE(nesting_of(first_flat, with(3, {{false, 0, 1, 0.0}}, {})).nested);
  TestedModel student = one_slope;
  student.options.expert.kind = ExpertKind::student_t;
  EXPECT_NE(nesting_of(one_slope, student).reasons.front().find("cannot be decided"), std::string::npos);

  // A slope fixed at 0 is the model without that input: experts of a constant, whose statistic is known otherwise.
  TestedModel constants = tested(data, 2, ExpertKind::constant);
  const LikelihoodRatioTest fixed = likelihood_ratio_test(no_slopes, free, replications(0));
  const LikelihoodRatioTest without = likelihood_ratio_test(constants, free, replications(0));
  EXPECT_EQ(fixed.degrees_of_freedom, 2);
  EXPECT_NEAR(fixed.statistic, without.statistic, 1e-5);
  EXPECT_NEAR(fixed.chi_square_p, chi_square_p(without.statistic, 2), 1e-6);
}

}  // namespace
}  // namespace clearway
