#include "clearway/stat/compare.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "clearway/stat/scenario.hpp"

namespace clearway {
namespace {

MixtureModel truth_of(int experts) {
  ScenarioOptions options;
  options.experts = experts;
  options.rows = 20;
  return make_problem(options).truth;
}

TEST(Compare, AModelWithItsExpertsReorderedIsTheSameModel) {
  const MixtureModel truth = truth_of(4);
  const Comparison comparison = compare(truth.permuted({2, 0, 3, 1}), truth);
  EXPECT_EQ(comparison.regressor_error, 0.0);
  EXPECT_EQ(comparison.expert_rmse, 0.0);
  EXPECT_EQ(comparison.sigma_error, 0.0);
  EXPECT_NEAR(comparison.gate_error, 0.0, 1e-15);
  EXPECT_NEAR(comparison.voronoi_exact, 0.0, 1e-12);
  EXPECT_NEAR(comparison.voronoi_over, 0.0, 1e-12);
  const std::vector<int> expected{1, 3, 0, 2};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(comparison.experts[i].fitted, expected[i]);
    EXPECT_EQ(comparison.experts[i].cell, std::vector<int>{expected[i]});
  }
  EXPECT_TRUE(comparison.notes.empty());
}

// One slope moved by 0.2, one sigma by 0.05, one gate row stretched by 10 %: every number follows by hand.
TEST(Compare, MeasuresWhatWasChanged) {
  const MixtureModel truth = truth_of(3);
  MixtureModel moved = truth;
  moved.experts[1].parameters()(4) += 0.2;
  moved.experts[2].set_sigma(0.15);
  moved.gate.block(0).tail(10) *= 1.1;
  const Comparison comparison = compare(moved.permuted({1, 2, 0}), truth);
  EXPECT_NEAR(comparison.regressor_error, 0.2, 1e-14);  // regressors have length 1
  EXPECT_NEAR(comparison.expert_rmse, 0.2 / std::sqrt(33.0), 1e-14);
  EXPECT_NEAR(comparison.sigma_error, 0.05, 1e-14);
  EXPECT_NEAR(comparison.gate_error, 0.4 / std::sqrt(32.0), 1e-13);  // |w_1| = |w_2| = 4
  EXPECT_NEAR(comparison.gate_rmse, 0.4 / std::sqrt(22.0), 1e-13);
  EXPECT_NEAR(comparison.experts[1].regressor, 0.2, 1e-14);
  EXPECT_NEAR(comparison.experts[2].sigma, 0.05, 1e-14);
}

TEST(Compare, MoreExpertsThanTheTruthFallIntoCells) {
  const MixtureModel truth = truth_of(2);
  MixtureModel fitted;
  fitted.gate = Gate(GateSpec{}, 10, 3);
  fitted.gate.block(0) = truth.gate.block(0);
  fitted.gate.block(1).setZero();
  fitted.gate.block(2).setZero();
  fitted.experts = {truth.experts[0], truth.experts[1], truth.experts[1]};
  const Comparison comparison = compare(fitted, truth);
  EXPECT_TRUE(std::isnan(comparison.regressor_error));
  EXPECT_FALSE(comparison.notes.empty());
  EXPECT_EQ(comparison.experts[0].cell, std::vector<int>({0}));
  EXPECT_EQ(comparison.experts[1].cell, std::vector<int>({1, 2}));
}

// Experts of several kinds are paired within their kind, even where another kind is nearer.
TEST(Compare, KindsPairWithTheirOwn) {
  MixtureModel truth = truth_of(2);
  const int inputs = truth.experts[0].inputs();
  for (const std::size_t k : {0U, 1U}) {
    Expert expert({.kind = k == 0 ? ExpertKind::linear : ExpertKind::laplace}, inputs);
    expert.parameters().setConstant(k == 0 ? 1.0 : -1.0);
    truth.experts[k] = expert;
  }
  MixtureModel fitted = truth.permuted({1, 0});
  const Comparison same = compare(fitted, truth);
  EXPECT_EQ(same.regressor_error, 0.0);
  EXPECT_EQ(same.experts[0].fitted, 1);
  EXPECT_TRUE(std::isnan(same.voronoi_exact));
  std::swap(fitted.experts[0].parameters(), fitted.experts[1].parameters());  // each has the other's numbers now
  const Comparison crossed = compare(fitted, truth);
  EXPECT_EQ(crossed.experts[0].fitted, 1);
  EXPECT_NEAR(crossed.regressor_error, 2.0, 1e-14);  // |a - (-a)| / |a|
  fitted.experts[0] = truth.experts[0];
  fitted.experts[1] = truth.experts[0];
  EXPECT_THROW((void)compare(fitted, truth), std::invalid_argument);
}

TEST(Compare, DifferentInputsDoNotCompare) {
  ScenarioOptions options;
  options.dim = 5;
  options.rows = 20;
  EXPECT_THROW(compare(make_problem(options).truth, truth_of(3)), std::invalid_argument);
}

TEST(RecoveryErrors, AreThoseOfTheBestPermutation) {
  const Matrix a{{1.0, 0.0}, {0.0, 2.0}};
  const Matrix w{{3.0, 4.0}, {0.0, 0.0}};
  const Matrix estimate{{0.0, 2.2}, {1.0, 0.3}};
  const Matrix gate{{0.0, 0.0}, {3.0, 5.0}};
  const RecoveryErrors errors = recovery_errors(estimate, gate, a, w);
  EXPECT_EQ(errors.order, std::vector<int>({1, 0}));
  EXPECT_NEAR(errors.regressor, 0.3, 1e-15);
  EXPECT_NEAR(errors.gate, 0.2, 1e-15);  // |(3,5) - (3,4)| / 5
  EXPECT_NEAR(recovery_errors(-estimate, gate, a, w, true).regressor, 0.3, 1e-15);
}

}  // namespace
}  // namespace clearway
