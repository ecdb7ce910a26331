// The array verbs against values worked out by hand.

#include "clearway/core/array.hpp"

#include "arrays.hpp"

namespace clearway {
namespace {

using testing::array;
using testing::expect_near;
using testing::kInfinity;
using testing::kTight;

const DoubleArray kX = array({{1, 2}, {3, 4}, {5, 6}});

TEST(Array, AffineIsInputsTimesTransposedWeightsPlusBias) {
  expect_near(affine(kX, array({{1, 0}, {2, -1}}), array({{10, 20}})), array({{11, 20}, {13, 22}, {15, 24}}), 0);
}

TEST(Array, MatmulIsTheMatrixProduct) {
  expect_near(matmul(kX, array({{1, 0, 2}, {0, 1, 1}})), array({{1, 2, 4}, {3, 4, 10}, {5, 6, 16}}), 0);
}

TEST(Array, SquaredDistancesDoNotCancel) {
  expect_near(squared_distances(kX, array({{1, 2}, {0, 0}})), array({{0, 5}, {8, 25}, {32, 61}}), 0);
  // Two points at 1e8 that are 1e-3 apart (1e8 + 1e-3 rounds to a multiple of 2^-26, so take the difference as it is).
  const double far = 1e8, near = far + 1e-3, gap = near - far;
  expect_near(squared_distances(array({{near}}), array({{far}})), array({{gap * gap}}), 0);
}

TEST(Array, BroadcastsRowsAndColumns) {
  expect_near(add_row(kX, array({{10, 20}})), array({{11, 22}, {13, 24}, {15, 26}}), 0);
  expect_near(mul_row(kX, array({{10, 100}})), array({{10, 200}, {30, 400}, {50, 600}}), 0);
  expect_near(add_col(kX, array({{1}, {2}, {3}})), array({{2, 3}, {5, 6}, {8, 9}}), 0);
  expect_near(mul_col(kX, array({{1}, {2}, {3}})), array({{1, 2}, {6, 8}, {15, 18}}), 0);
}

TEST(Array, TakesPartsAndPutsThemSideBySide) {
  expect_near(row(kX, 1), array({{3, 4}}), 0);
  expect_near(column(kX, 1), array({{2}, {4}, {6}}), 0);
  expect_near(columns(kX, 0, 2), kX, 0);
  expect_near(hstack(std::vector<DoubleArray>{column(kX, 1), kX}), array({{2, 1, 2}, {4, 3, 4}, {6, 5, 6}}), 0);
  expect_near(sum_rows(kX), array({{3}, {7}, {11}}), 0);
  expect_near(filled(kX, 1, 2, 7), array({{7, 7}}), 0);
}

TEST(Array, LogSumExpNeitherOverflowsNorLosesEmptyRows) {
  const double log2 = std::log(2.0);
  const DoubleArray a = array({{0, 0}, {1e4, 1e4}, {-1e4, -1e4}, {-kInfinity, 3}, {-kInfinity, -kInfinity}});
  expect_near(logsumexp_rows(a), array({{log2}, {1e4 + log2}, {-1e4 + log2}, {3}, {-kInfinity}}), kTight);
}

TEST(Array, LogSigmoidIsStableAtBothEnds) {
  // -log(1 + e^-z): -e^-z for large z, z for small z.
  expect_near(log_sigmoid(array({{0, 40, -40, 1e4, -1e4}})), array({{-std::log(2.0), -std::exp(-40.0), -40, 0, -1e4}}),
              kTight);
  EXPECT_NEAR(log_sigmoid(array({{40}}))(0, 0) / -std::exp(-40.0), 1.0, kTight);
}

TEST(Array, LogGammaOfHalfAndOfFactorials) {
  expect_near(log_gamma(array({{0.5, 1, 2, 5, 11}})),
              array({{0.5 * std::log(M_PI), 0, 0, std::log(24.0), std::log(3628800.0)}}), kTight);
}

TEST(Array, ComparesWithAConstant) {
  expect_near(maximum(array({{-1, 0, 2}}), 0.0), array({{0, 0, 2}}), 0);
  expect_near(at_least(array({{-1, 0, 2}}), 0.0), array({{0, 1, 1}}), 0);
}

TEST(Array, LowerTriangleReadsColumnsWithLogDiagonal) {
  const double log3 = std::log(3.0);
  expect_near(lower_triangle(array({{0, 5, 6, log3, 7, 0}}), 3), array({{1, 0, 0}, {5, 3, 0}, {6, 7, 1}}), kTight);
}

TEST(Array, KeepTopTakesTheFirstOfEqualElements) {
  const DoubleArray a = array({{1, 3, 2}, {5, 5, 5}});
  expect_near(keep_top(a, 1), array({{-kInfinity, 3, -kInfinity}, {5, -kInfinity, -kInfinity}}), 0);
  expect_near(keep_top(a, 2), array({{-kInfinity, 3, 2}, {5, 5, -kInfinity}}), 0);
  EXPECT_THROW(keep_top(a, 0), std::invalid_argument);
  EXPECT_THROW(keep_top(a, 4), std::invalid_argument);
}

TEST(Array, ShapeMistakesNameTheThingAndTheRule) {
  try {
    check_shape("softmax gate", "slopes", kX, 3, 4);
    FAIL() << "nothing thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "softmax gate: slopes must be 3 x 4, not 3 x 2");
  }
}

}  // namespace
}  // namespace clearway
