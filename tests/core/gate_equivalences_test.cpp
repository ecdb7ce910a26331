// Which gate is which other gate in other coordinates, for random parameters.

#include <gtest/gtest.h>

#include "arrays.hpp"
#include "clearway/core/gates/all.hpp"
#include "laws/generated.hpp"

namespace clearway {
namespace {

using laws::fill_normal;
using laws::largest_difference;
using laws::normal_array;

// Both sides evaluate forms of degree two in numbers up to about 10 by other routes: errors stay below 1e4 eps times
// the largest score.
double tolerance(const DoubleArray& scores) {
  return 1e4 * 2.2e-16 * (1 + scores.abs().maxCoeff());
}

/// -|L'(x - c)|^2 / 2 + b + log|L| expanded in powers of x, with P = L L':
/// -x'Px / 2 + c'P x + (b + log|L| - c'Pc / 2).
QuadraticParameters<DoubleArray> expanded(const GaussianGateParameters<DoubleArray>& p) {
  const Eigen::Index k = p.centres.rows(), d = p.centres.cols();
  QuadraticParameters<DoubleArray> out{DoubleArray(k, d), DoubleArray(k, d * (d + 1) / 2), DoubleArray(1, k)};
  for (Eigen::Index expert = 0; expert < k; ++expert) {
    const DoubleArray packed = p.factors.row(expert);
    const Eigen::MatrixXd l = lower_triangle(packed, d).matrix();
    const Eigen::MatrixXd precision = l * l.transpose();
    const Eigen::VectorXd centre = p.centres.row(expert).matrix().transpose();
    out.slopes.row(expert) = (precision * centre).transpose().array();
    out.intercepts(0, expert) =
        p.intercepts(0, expert) + l.diagonal().array().log().sum() - 0.5 * centre.dot(precision * centre);
    for (Eigen::Index i = 0, at = 0; i < d; ++i)
      for (Eigen::Index j = i; j < d; ++j, ++at)
        out.forms(expert, at) = i == j ? -0.5 * precision(i, i) : -precision(i, j);
  }
  return out;
}

TEST(GateEquivalence, GaussianWithFreeCovariancesIsFullQuadratic) {
  EXPECT_TRUE(laws::holds("Gaussian gate = quadratic gate", [](laws::Problem& problem) {
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    auto p = GaussianGate().zero_parameters(x, problem.d, problem.k);
    fill_normal(problem.random, 1.0, p);
    const DoubleArray gaussian = GaussianGate().log_weights(x, p);
    const DoubleArray quadratic = QuadraticGate().log_weights(x, expanded(p));
    laws::require_at_most(largest_difference(gaussian, quadratic), tolerance(QuadraticGate().scores(x, expanded(p))));
  }));
}

TEST(GateEquivalence, GaussianWithOneSharedCovarianceIsSoftmax) {
  EXPECT_TRUE(laws::holds("Gaussian gate with equal factors = softmax gate", [](laws::Problem& problem) {
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    auto p = GaussianGate().zero_parameters(x, problem.d, problem.k);
    fill_normal(problem.random, 1.0, p);
    p.factors = DoubleArray(p.factors.row(0).replicate(problem.k, 1));
    const auto coordinates = expanded(p);
    const DoubleArray gaussian = GaussianGate().log_weights(x, p);
    const DoubleArray softmax = SoftmaxGate().log_weights(x, {coordinates.slopes, coordinates.intercepts});
    laws::require_at_most(largest_difference(gaussian, softmax), tolerance(QuadraticGate().scores(x, coordinates)));
  }));
}

TEST(GateEquivalence, LowRankAndDiagonalAreFullWithFewerNumbers) {
  EXPECT_TRUE(laws::holds("low-rank and diagonal forms = full form", [](laws::Problem& problem) {
    const Eigen::Index d = problem.d, k = problem.k;
    const DoubleArray x = normal_array(problem.random, problem.n, d);
    const QuadraticGate full, diagonal{.form = QuadraticForm::diagonal},
        low_rank{.form = QuadraticForm::low_rank, .rank = 2};
    auto p = low_rank.zero_parameters(x, d, k), q = diagonal.zero_parameters(x, d, k);
    fill_normal(problem.random, 1.0, p);
    fill_normal(problem.random, 1.0, q);
    auto p_full = full.zero_parameters(x, d, k), q_full = p_full;
    p_full.slopes = p.slopes, p_full.intercepts = p.intercepts;
    q_full.slopes = q.slopes, q_full.intercepts = q.intercepts;
    for (Eigen::Index expert = 0; expert < k; ++expert)
      for (Eigen::Index i = 0, at = 0; i < d; ++i)
        for (Eigen::Index j = i; j < d; ++j, ++at) {
          if (i == j) q_full.forms(expert, at) = q.forms(expert, i);
          for (Eigen::Index r = 0; r < 2; ++r) {
            const auto u = [&](Eigen::Index c) { return p.forms(expert, 2 * r * d + c); };
            const auto v = [&](Eigen::Index c) { return p.forms(expert, (2 * r + 1) * d + c); };
            p_full.forms(expert, at) += i == j ? u(i) * v(i) : u(i) * v(j) + u(j) * v(i);
          }
        }
    const DoubleArray scores = full.scores(x, p_full);
    laws::require_at_most(largest_difference(low_rank.scores(x, p), scores), tolerance(scores) * 10);
    laws::require_at_most(largest_difference(diagonal.scores(x, q), full.scores(x, q_full)), tolerance(scores) * 10);
  }));
}

TEST(GateEquivalence, ConstantIsSoftmaxWithoutSlopes) {
  const DoubleArray x = testing::array({{0.5}, {-2}}), intercepts = testing::array({{0.3, -1, 2}});
  testing::expect_near(ConstantGate().log_weights(x, {intercepts}),
                       SoftmaxGate().log_weights(x, {DoubleArray::Zero(3, 1), intercepts}), 0);
}

std::vector<int> groups_in_turn(Eigen::Index experts, Eigen::Index groups) {
  std::vector<int> group_of(static_cast<std::size_t>(experts));
  for (std::size_t k = 0; k < group_of.size(); ++k)
    group_of[k] = static_cast<int>(k % static_cast<std::size_t>(groups));
  return group_of;
}

TEST(GateEquivalence, HierarchicalWithOneExpertPerGroupOrOneGroupIsFlat) {
  EXPECT_TRUE(laws::holds("hierarchical gates of one level = that level", [](laws::Problem& problem) {
    const DoubleArray t = normal_array(problem.random, problem.n, problem.k);
    const DoubleArray one = normal_array(problem.random, problem.n, 1), zeros = DoubleArray::Zero(problem.n, problem.k);
    const DoubleArray flat = log_normalise(t);
    const DoubleArray alone = hierarchical_log_weights(t, zeros, groups_in_turn(problem.k, problem.k));
    const DoubleArray together = hierarchical_log_weights(one, t, groups_in_turn(problem.k, 1));
    laws::require_at_most(largest_difference(alone, flat), tolerance(t));
    laws::require_at_most(largest_difference(together, flat), tolerance(t));
  }));
}

TEST(GateEquivalence, HierarchicalIsFlatWhereTheOuterScoreIsTheSumOfTheGroup) {
  EXPECT_TRUE(laws::holds("o_g = log sum exp(t) over group g gives the flat gate of t", [](laws::Problem& problem) {
    const Eigen::Index groups = problem.between(1, problem.k);
    const std::vector<int> group_of = groups_in_turn(problem.k, groups);
    const DoubleArray t = normal_array(problem.random, problem.n, problem.k);
    DoubleArray sums = DoubleArray::Zero(problem.n, groups);
    for (Eigen::Index k = 0; k < problem.k; ++k) sums.col(group_of[static_cast<std::size_t>(k)]) += t.col(k).exp();
    const DoubleArray outer = sums.log();
    laws::require_at_most(largest_difference(hierarchical_log_weights(outer, t, group_of), log_normalise(t)),
                          tolerance(t));
  }));
}

TEST(GateEquivalence, PerturbedCosineOfLongDirectionsIsThePlainCosine) {
  // |c| / (|c| + theta) = 1 - theta / |c| + ...: with |c| = 1e6 and theta = 0.1, 1e-7 from 1; |x| is 1, so the other
  // norm divides by 1.1, which the plain gate does with its temperature.
  const DoubleArray x = testing::array({{0.6, 0.8}}), c = testing::array({{6e5, -8e5}, {8e5, 6e5}}),
                    b = testing::array({{0.2, 0}});
  const DoubleArray plain = CosineGate{.temperature = 1.1, .perturbation = 0}.scores(x, {c, b});
  const DoubleArray perturbed = CosineGate{.perturbation = 0.1}.scores(x, {c, b});
  testing::expect_near(perturbed, plain, 2e-7);
}

}  // namespace
}  // namespace clearway
