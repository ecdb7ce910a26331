// Assignments against all permutations and against scipy; errors against values worked out by hand.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "clearway/core/alignment.hpp"
#include "laws/generated.hpp"

namespace clearway {
namespace {

using Order = std::vector<int>;

double total(const Matrix& cost, const Order& order) {
  double sum = 0;
  for (std::size_t j = 0; j < order.size(); ++j) sum += cost(order[j], static_cast<Eigen::Index>(j));
  return sum;
}

double largest(const Matrix& cost, const Order& order) {
  double worst = -std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < order.size(); ++j) worst = std::max(worst, cost(order[j], static_cast<Eigen::Index>(j)));
  return worst;
}

bool is_permutation(Order order, int k) {
  std::sort(order.begin(), order.end());
  Order identity(static_cast<std::size_t>(k));
  std::iota(identity.begin(), identity.end(), 0);
  return order == identity;
}

/// Costs with many ties (small integers) or none, of any sign.
Matrix any_cost(laws::Problem& problem) {
  Matrix cost = laws::normal_array(problem.random, problem.k, problem.k, 3).matrix();
  if (problem.random.uniform() < 0.5) cost = cost.array().round();
  return cost;
}

TEST(Assignment, IsTheBestOfAllPermutations) {
  EXPECT_TRUE(laws::holds("optimal and bottleneck assignment = best of k! permutations", [](laws::Problem& problem) {
    const Matrix cost = any_cost(problem);
    const int k = static_cast<int>(cost.rows());
    Order order(static_cast<std::size_t>(k));
    std::iota(order.begin(), order.end(), 0);
    double least_total = std::numeric_limits<double>::infinity(), least_largest = least_total, total_of_largest = 0;
    do {
      const double sum = total(cost, order), worst = largest(cost, order);
      least_total = std::min(least_total, sum);
      if (worst < least_largest || (worst == least_largest && sum < total_of_largest)) {
        least_largest = worst;
        total_of_largest = sum;
      }
    } while (std::next_permutation(order.begin(), order.end()));
    const Order optimal = optimal_assignment(cost), bottleneck = bottleneck_assignment(cost);
    laws::require(is_permutation(optimal, k) && is_permutation(bottleneck, k));
    laws::require_at_most(std::abs(total(cost, optimal) - least_total), 1e-12);
    laws::require(largest(cost, bottleneck) == least_largest);
    laws::require_at_most(std::abs(total(cost, bottleneck) - total_of_largest), 1e-12);
  }));
}

// scipy.optimize.linear_sum_assignment on numpy.random.default_rng(1).integers(0, 100, (6, 6)): 92, columns 5 2 0 1
// 4 3.
TEST(Assignment, AgreesWithScipy) {
  Matrix cost(6, 6);
  cost << 47, 51, 75, 95, 3, 14, 82, 94, 24, 31, 86, 42, 27, 82, 25, 40, 64, 54, 8, 2, 86, 75, 83, 53, 81, 32, 45, 78,
      12, 30, 12, 45, 97, 13, 38, 40;
  const Order order = optimal_assignment(cost);
  EXPECT_EQ(order, (Order{2, 3, 1, 5, 4, 0}));  // rows by column, the inverse of scipy's columns by row
  EXPECT_EQ(total(cost, order), 92);
}

TEST(Assignment, RefusesWhatHasNoAnswer) {
  EXPECT_THROW(optimal_assignment(Matrix::Zero(2, 3)), std::invalid_argument);
  EXPECT_THROW(bottleneck_assignment(Matrix::Constant(2, 2, std::nan(""))), std::invalid_argument);
  EXPECT_TRUE(optimal_assignment(Matrix(0, 0)).empty());
  EXPECT_TRUE(bottleneck_assignment(Matrix(0, 0)).empty());
}

TEST(Alignment, RegressorErrorIsTheWorstExpertUnderTheBestMatching) {
  Matrix truth(3, 2), fitted(3, 2);
  truth << 2, 0, 0, 1, -1, -1;
  fitted << 0.1, 1, -1, -1, 2, -0.1;  // rows of the truth in the order 1, 2, 0
  const Alignment alignment = align_regressors(fitted, truth);
  EXPECT_EQ(alignment.order, (Order{2, 0, 1}));
  EXPECT_NEAR(alignment.error, 0.1, 1e-14);
  EXPECT_EQ(reordered(fitted, alignment.order).row(0), fitted.row(2));
}

TEST(Alignment, ZeroRegressorsCountAbsolutely) {
  EXPECT_NEAR(align_regressors(Matrix::Constant(1, 1, 0.25), Matrix::Zero(1, 1)).error, 0.25, 0);
}

TEST(Alignment, GateErrorIgnoresTranslationAndOrder) {
  Matrix truth(3, 2);
  truth << 1, 2, 3, -1, 0, 0;
  const Order order{2, 0, 1};
  Matrix fitted(3, 2);
  for (int j = 0; j < 3; ++j) fitted.row(order[static_cast<std::size_t>(j)]) = truth.row(j);
  fitted.rowwise() += Eigen::RowVector2d(5, -7);
  EXPECT_NEAR(gate_error(fitted, truth, order), 0, 1e-15);
  fitted(2, 0) += 0.3;  // the row of true expert 0; |truth| = sqrt(1 + 4 + 9 + 1)
  EXPECT_NEAR(gate_error(fitted, truth, order), 0.3 / std::sqrt(15.0), 1e-14);
  EXPECT_THROW(gate_error(fitted, truth, {0, 0, 1}), std::invalid_argument);
}

TEST(Alignment, NoiseErrorIsTheLargestRelativeOne) {
  const Vector truth = (Vector(2) << 0.1, 0.4).finished(), fitted = (Vector(2) << 0.5, 0.11).finished();
  EXPECT_NEAR(noise_error(fitted, truth, {1, 0}), 0.25, 1e-14);
}

}  // namespace
}  // namespace clearway
