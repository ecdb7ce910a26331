// Voronoi losses worked out by hand, and their symmetries.

#include <gtest/gtest.h>

#include <cmath>

#include "clearway/core/voronoi.hpp"
#include "laws/generated.hpp"

namespace clearway {
namespace {

constexpr double kTight = 1e-13;

/// Two well separated atoms in one dimension, weights 1/2 and 1.
MixingMeasure truth() {
  MixingMeasure g;
  g.gate_intercepts = (Vector(2) << std::log(0.5), 0).finished();
  g.gate_slopes = (Matrix(2, 1) << 3, 0).finished();
  g.expert_slopes = (Matrix(2, 1) << -5, 5).finished();
  g.expert_intercepts = (Vector(2) << 2, -1).finished();
  g.variances = (Vector(2) << 0.1, 0.2).finished();
  return g;
}

/// The truth with its atoms repeated: new atom i is atom `of[i]` with the given share of its weight.
MixingMeasure split(const MixingMeasure& g, const std::vector<int>& of, const std::vector<double>& share) {
  MixingMeasure out;
  out.gate_intercepts = g.gate_intercepts(of);
  for (std::size_t i = 0; i < of.size(); ++i) out.gate_intercepts(static_cast<Eigen::Index>(i)) += std::log(share[i]);
  out.gate_slopes = g.gate_slopes(of, Eigen::all);
  out.expert_slopes = g.expert_slopes(of, Eigen::all);
  out.expert_intercepts = g.expert_intercepts(of);
  out.variances = g.variances(of);
  return out;
}

TEST(VoronoiLoss, IsZeroForTheTruthAndForItsAtomsSplit) {
  EXPECT_EQ(voronoi_loss(truth(), truth(), strongly_identifiable_exponents()).total, 0);
  const MixingMeasure over = split(truth(), {1, 0, 1, 1}, {0.2, 1, 0.5, 0.3});
  const VoronoiLoss loss = voronoi_loss(over, truth(), softmax_linear_exponents());
  EXPECT_EQ(loss.cells, (std::vector<int>{1, 0, 1, 1}));
  EXPECT_NEAR(loss.total, 0, kTight);
}

TEST(VoronoiLoss, ExactCellsCountFirstPowers) {
  MixingMeasure fitted = truth();
  fitted.gate_intercepts(0) = std::log(0.6);  // weight part 0.1; the atom then counts with weight 0.6
  fitted.gate_slopes(0, 0) += 0.01;
  fitted.expert_slopes(0, 0) -= 0.02;
  fitted.expert_intercepts(0) += 0.03;
  fitted.variances(1) += 0.04;  // atom of weight 1
  const VoronoiLoss loss = voronoi_loss(fitted, truth(), softmax_linear_exponents());
  EXPECT_NEAR(loss.weight_part, 0.1, kTight);
  EXPECT_NEAR(loss.exact_part, 0.6 * 0.06 + 0.04, kTight);
  EXPECT_EQ(loss.over_part, 0);
  EXPECT_NEAR(loss.total, 0.1 + 0.036 + 0.04, kTight);
}

// A Laplace gate: intercepts may move together, centres may not.
TEST(VoronoiLoss, TranslationOfInterceptsLeavesSlopesAlone) {
  const Vector shift = Vector::Constant(1, 0.4);
  const VoronoiLoss moved =
      voronoi_loss_up_to_translation(translated(truth(), 1.3, Vector::Zero(1)), truth(),
                                     strongly_identifiable_exponents(), GateTranslation::intercepts);
  EXPECT_NEAR(moved.total, 0, kTight);
  EXPECT_NEAR(moved.intercept_shift, -1.3, kTight);
  const MixingMeasure other = translated(truth(), 0.0, shift);
  EXPECT_NEAR(
      voronoi_loss_up_to_translation(other, truth(), strongly_identifiable_exponents(), GateTranslation::intercepts)
          .total,
      0.4 * (0.5 + 1.0), kTight);
}

TEST(VoronoiLoss, OverSpecifiedCellsCountThePowersOfTheModel) {
  MixingMeasure fitted = split(truth(), {0, 1, 1}, {1, 0.5, 0.5});
  const double t = 0.1;
  fitted.gate_slopes(2, 0) += t;
  fitted.expert_slopes(2, 0) += t;
  fitted.expert_intercepts(2) += t;
  fitted.variances(2) += t;
  const auto over = [&](const VoronoiExponentRule& rule) { return voronoi_loss(fitted, truth(), rule).over_part; };
  EXPECT_NEAR(over(strongly_identifiable_exponents()), 0.5 * 4 * t * t, kTight);
  EXPECT_NEAR(over(softmax_linear_exponents()), 0.5 * (2 * std::pow(t, 4) + 2 * t * t), kTight);
  EXPECT_NEAR(over(laplace_linear_exponents()), 0.5 * (3 * t * t + std::pow(t, 4)), kTight);
}

TEST(VoronoiLoss, SigmoidWeightsAndMissingCells) {
  // One fitted atom at the first of two: the other cell is empty and misses its whole weight.
  MixingMeasure fitted = split(truth(), {0}, {1});
  const VoronoiLoss loss = voronoi_loss(fitted, truth(), strongly_identifiable_exponents(), AtomWeight::sigmoid);
  EXPECT_NEAR(loss.total, 0.5, kTight);  // sigmoid(0)
}

TEST(VoronoiLoss, NoExponentIsInventedFromFourAtomsOn) {
  EXPECT_EQ(solvability_exponent(2), 4);
  EXPECT_EQ(solvability_exponent(3), 6);
  EXPECT_EQ(solvability_exponent(4), std::nullopt);
  EXPECT_THROW(solvability_exponent(1), std::invalid_argument);
  const MixingMeasure fitted = split(truth(), {1, 1, 1, 1}, {0.25, 0.25, 0.25, 0.25});
  EXPECT_THROW(voronoi_loss(fitted, truth(), softmax_linear_exponents()), std::invalid_argument);
  EXPECT_NEAR(voronoi_loss(fitted, truth(), strongly_identifiable_exponents()).total, 0.5, kTight);
}

TEST(VoronoiLoss, DoesNotDependOnTheOrderOfAtoms) {
  EXPECT_TRUE(laws::holds("permuting fitted or true atoms leaves the loss", [](laws::Problem& problem) {
    const auto measure = [&](Eigen::Index k) {
      MixingMeasure g;
      g.gate_intercepts = laws::normal_array(problem.random, k, 1).matrix();
      g.gate_slopes = laws::normal_array(problem.random, k, problem.d).matrix();
      g.expert_slopes = laws::normal_array(problem.random, k, problem.d).matrix();
      g.expert_intercepts = laws::normal_array(problem.random, k, 1).matrix();
      g.variances = laws::normal_array(problem.random, k, 1).square().matrix();
      return g;
    };
    const MixingMeasure fitted = measure(problem.k), other = measure(problem.between(1, 4));
    const auto shuffled = [&](const MixingMeasure& g) {
      const auto p = problem.random.permutation(static_cast<std::size_t>(g.size()));
      return split(g, std::vector<int>(p.begin(), p.end()), std::vector<double>(p.size(), 1.0));
    };
    const auto rule = strongly_identifiable_exponents();
    const double before = voronoi_loss(fitted, other, rule).total;
    const double after = voronoi_loss(shuffled(fitted), shuffled(other), rule).total;
    laws::require_at_most(std::abs(before - after), 1e-12 * (1 + before));
  }));
}

TEST(VoronoiLoss, TranslationOfASoftmaxGateIsForgiven) {
  const MixingMeasure over = split(truth(), {0, 1, 1}, {1, 0.4, 0.6});
  const MixingMeasure moved = translated(over, 2.5, Vector::Constant(1, -4));
  EXPECT_GT(voronoi_loss(moved, truth(), softmax_linear_exponents()).total, 1);
  EXPECT_NEAR(voronoi_loss_up_to_translation(moved, truth(), softmax_linear_exponents()).total, 0, kTight);
  const MixingMeasure back = translated_to_zero(moved, 1);
  EXPECT_EQ(back.gate_intercepts(1), 0);
  EXPECT_EQ(back.gate_slopes(1, 0), 0);
  EXPECT_NEAR(back.gate_slopes(0, 0), 3, kTight);
}

TEST(MixingMeasure, MistakesAreNamed) {
  MixingMeasure wrong = truth();
  wrong.variances = Vector::Ones(3);
  EXPECT_THROW(wrong.check(), std::invalid_argument);
  MixingMeasure without = truth();
  without.variances.resize(0);
  EXPECT_THROW(voronoi_loss(without, truth(), strongly_identifiable_exponents()), std::invalid_argument);
  EXPECT_THROW(translated_to_zero(truth(), 2), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
