// Small helpers of the core tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

#include "clearway/core/array.hpp"

namespace clearway::testing {

/// An array from its rows.
inline DoubleArray array(std::initializer_list<std::initializer_list<double>> rows) {
  DoubleArray out(static_cast<Eigen::Index>(rows.size()),
                  static_cast<Eigen::Index>(rows.size() == 0 ? 0 : rows.begin()->size()));
  Eigen::Index i = 0;
  for (const auto& row : rows) {
    Eigen::Index j = 0;
    for (const double value : row) out(i, j++) = value;
    ++i;
  }
  return out;
}

/// Equal shapes, and equal elements up to `tolerance` times max(1, |expected|).
inline void expect_near(const DoubleArray& actual, const DoubleArray& expected, double tolerance) {
  ASSERT_EQ(actual.rows(), expected.rows());
  ASSERT_EQ(actual.cols(), expected.cols());
  for (Eigen::Index i = 0; i < actual.size(); ++i) {
    const double a = actual.data()[i], e = expected.data()[i];
    if (a == e) continue;  // infinities
    EXPECT_NEAR(a, e, tolerance * std::max(1.0, std::abs(e))) << "element " << i;
  }
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// A dozen roundings of numbers of order one; reference values are given to 16 digits.
constexpr double kTight = 1e-14;

}  // namespace clearway::testing
