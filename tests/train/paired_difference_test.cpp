// Paired differences against tables of Student's distribution.
#include "clearway/train/paired_difference.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace clearway::train {
namespace {

// Quantiles at 0.975 by degrees of freedom, from tables.
constexpr std::array<std::pair<int, double>, 5> kStudent = {
    {{1, 12.706205}, {2, 4.302653}, {4, 2.776445}, {9, 2.262157}, {29, 2.045230}}};

TEST(PairedDifference, HasStudentsInterval) {
  for (const auto& [degrees, quantile] : kStudent) {
    std::vector<double> differences;
    for (int i = 0; i <= degrees; ++i) differences.push_back(0.5 + std::sin(3.0 * i));
    const auto n = static_cast<double>(differences.size());
    double mean = 0, squares = 0;
    for (const double d : differences) mean += d / n;
    for (const double d : differences) squares += (d - mean) * (d - mean);
    const double s2 = squares / (n - 1);
    for (const double overlap : {0.0, 0.25}) {
      const PairedDifference found = paired_difference(differences, overlap);
      const double half = quantile * std::sqrt((1 / n + overlap) * s2);
      EXPECT_EQ(found.pairs, differences.size());
      EXPECT_NEAR(found.mean, mean, 1e-12);
      EXPECT_NEAR(found.low, mean - half, 1e-6 * half);  // seven digits of the table
      EXPECT_NEAR(found.high, mean + half, 1e-6 * half);
      EXPECT_EQ(found.within_noise, mean - half <= 0 && mean + half >= 0);
    }
  }
}

TEST(PairedDifference, OfFewOrEqualOnes) {
  EXPECT_EQ(paired_difference({}).pairs, 0U);
  const std::array<double, 1> one = {0.3};
  EXPECT_EQ(paired_difference(one).mean, 0.3);
  EXPECT_TRUE(std::isnan(paired_difference(one).low));
  EXPECT_TRUE(paired_difference(one).within_noise);
  const std::array<double, 3> same = {0.5, 0.5, 0.5};
  EXPECT_EQ(paired_difference(same).low, 0.5);
  EXPECT_EQ(paired_difference(same).high, 0.5);
  EXPECT_FALSE(paired_difference(same).within_noise);
}

TEST(Moments, HaveTheDivisorOfASample) {
  const std::array<double, 4> values = {2, 4, 4, 6};
  EXPECT_DOUBLE_EQ(moments(values).mean, 4);
  EXPECT_DOUBLE_EQ(moments(values).deviation, std::sqrt(8.0 / 3));
  EXPECT_EQ(moments(std::span(values).first(1)).deviation, 0);
  EXPECT_EQ(moments({}).mean, 0);
}

}  // namespace
}  // namespace clearway::train
