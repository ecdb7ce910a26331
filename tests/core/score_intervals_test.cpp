// Bootstrap intervals against normal theory, against exact distributions of tiny samples, and laws.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "clearway/base/random.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "clearway/core/score_intervals.hpp"
#include "score_rows.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using test::numbers;

Vector normal_rows(std::uint64_t stream, Index n) {
  RandomStream random(7, stream);
  Vector out(n);
  for (Index i = 0; i < n; ++i) out(i) = random.normal();
  return out;
}

// The replications of a mean have standard deviation s / sqrt(n) with s^2 of divisor n (Efron and Tibshirani 1993, eq.
// 5.12), and are normal up to skewness / (6 sqrt(n)) = 0.01 s.d. for n = 400 normal rows. With R = 4000 the standard
// deviation of the replications has relative error 1 / sqrt(2 R) = 0.011, and the 2.5 % quantile, in units of s.d.,
// error sqrt(0.025 * 0.975 / R) / phi(1.96) = 0.042; four of them are allowed.
TEST(Bootstrap, OfAMeanIsNormalTheory) {
  const Vector x = normal_rows(0, 400);
  const double deviation = (x.array() - x.mean()).matrix().norm() / 400;
  const ScoreInterval interval = bootstrap_score(weighted_mean(x), 400, {.replications = 4000});
  EXPECT_NEAR(interval.estimate, x.mean(), 1e-14);
  EXPECT_NEAR(interval.standard_error / deviation, 1, 4 * 0.011);
  EXPECT_NEAR((interval.low - x.mean()) / deviation, -1.96, 4 * 0.042 + 0.02);
  EXPECT_NEAR((interval.high - x.mean()) / deviation, 1.96, 4 * 0.042 + 0.02);
  EXPECT_EQ(interval.undefined, 0);
}

// Groups of 4 equal rows carry the information of one row each: the error is that of 100 rows, twice as large.
TEST(Bootstrap, DrawsWholeGroups) {
  const Vector x = normal_rows(1, 100);
  Vector repeated(400);
  std::vector<std::int64_t> group;
  for (Index i = 0; i < 400; ++i) {
    repeated(i) = x(i / 4);
    group.push_back(1000 - i / 4);
  }
  const double deviation = (x.array() - x.mean()).matrix().norm() / 100;
  const ScoreInterval grouped = bootstrap_score(weighted_mean(repeated), 400, {.replications = 4000, .group = group});
  EXPECT_NEAR(grouped.standard_error / deviation, 1, 4 * 0.011);
  // One group only: every resample is the data.
  const std::vector<std::int64_t> one(400, 3);
  const ScoreInterval fixed = bootstrap_score(weighted_mean(repeated), 400, {.group = one});
  EXPECT_NEAR(fixed.high - fixed.low, 0, 1e-14);
}

// Groups of 1, 2 and 3 rows in any order: every resample has one weight per group, and these sum to 3.
TEST(Bootstrap, GivesTheRowsOfAGroupOneWeight) {
  const std::vector<std::int64_t> group{-5, 9, 2, 9, 9, 2};
  const WeightedScore check = [](std::span<const double> w) {
    return w[1] == w[3] && w[3] == w[4] && w[2] == w[5] && (w[0] + w[1] + w[2] == 3) ? 1.0 : 0.0;
  };
  const ScoreInterval interval = bootstrap_score(check, 6, {.replications = 100, .group = group});
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.standard_error, 0);
}

TEST(Bootstrap, DoesNotDependOnThreads) {
  const test::ReferenceRows rows;
  const auto with_threads = [&](int threads) {
    return bootstrap_score(weighted_auroc(rows.logit, rows.event), 60, {.replications = 200, .threads = threads});
  };
  const ScoreInterval one = with_threads(1), three = with_threads(3);
  EXPECT_EQ(one.low, three.low);
  EXPECT_EQ(one.high, three.high);
  EXPECT_EQ(one.standard_error, three.standard_error);
}

TEST(Bootstrap, WeightsAndRowsAreTheSameResamples) {
  const test::ReferenceRows rows;
  const BootstrapOptions options{.replications = 100, .seed = 5};
  const auto gathered = [&](auto score, const Vector& prediction, const Vector& target) {
    return score_of_rows(
        [=](std::span<const Index> drawn) { return static_cast<double>(*score(prediction(drawn), target(drawn))); });
  };
  const ScoreInterval by_weights = bootstrap_score(weighted_auroc(rows.logit, rows.event), 60, options);
  const ScoreInterval by_rows = bootstrap_score(gathered(auroc, rows.logit, rows.event), 60, options);
  EXPECT_NEAR(by_weights.low, by_rows.low, 1e-14);
  EXPECT_NEAR(by_weights.high, by_rows.high, 1e-14);
  const ScoreInterval precision = bootstrap_score(weighted_average_precision(rows.logit, rows.event), 60, options);
  const ScoreInterval precision_by_rows =
      bootstrap_score(gathered(average_precision, rows.logit, rows.event), 60, options);
  EXPECT_NEAR(precision.low, precision_by_rows.low, 1e-14);
  EXPECT_EQ(precision.estimate, *average_precision(rows.logit, rows.event));
}

// DeLong, DeLong and Clarke-Pearson (1988): the variance of AUROC is var(V_10) / n_1 + var(V_01) / n_0, V_10 the share of
// non-events that an event beats, V_01 the share of events that beat a non-event. The bootstrap's variance agrees up to
// relative order 1 / n_1 = 0.01, of which 5 are allowed; with R = 4000 its standard deviation has error 0.011.
TEST(Bootstrap, OfAurocIsDeLongsVariance) {
  const Vector noise = normal_rows(2, 400);
  Vector target(400), score(400);
  for (Index i = 0; i < 400; ++i) {
    target(i) = i % 4 == 0;
    score(i) = noise(i) + target(i);
  }
  std::vector<double> of_event, of_other;  // share of the other class that each row beats or is beaten by
  for (Index i = 0; i < 400; ++i) {
    double won = 0, pairs = 0;
    for (Index j = 0; j < 400; ++j)
      if (target(i) != target(j)) {
        pairs += 1;
        won += target(i) > 0 ? score(i) > score(j) : score(i) < score(j);
      }
    (target(i) > 0 ? of_event : of_other).push_back(won / pairs);
  }
  const auto variance = [](const std::vector<double>& values) {
    const Vector v = numbers(values);
    return (v.array() - v.mean()).square().sum() / static_cast<double>(v.size() - 1) / static_cast<double>(v.size());
  };
  const double delong = std::sqrt(variance(of_event) + variance(of_other));
  const ScoreInterval interval = bootstrap_score(weighted_auroc(score, target), 400, {.replications = 4000});
  EXPECT_NEAR(interval.standard_error / delong, 1, 4 * 0.011 + 0.05);
}

// Two rows, one of each class: a resample is undefined with probability 1/2; of 1000, 500 +- 4 * 16.
TEST(Bootstrap, LeavesOutAndCountsResamplesWithoutAScore) {
  const ScoreInterval interval = bootstrap_score(weighted_auroc(numbers({0.1, 0.9}), numbers({0, 1})), 2);
  EXPECT_NEAR(interval.undefined, 500, 64);
  EXPECT_EQ(interval.low, 1);
  const ScoreInterval none = bootstrap_score(weighted_auroc(numbers({0.1, 0.9}), numbers({1, 1})), 2);
  EXPECT_EQ(none.undefined, 1000);
  EXPECT_TRUE(std::isnan(none.low) && std::isnan(none.estimate) && std::isnan(none.standard_error));
}

// d_i = a_i - b_i: the paired bootstrap of two means is the bootstrap of the mean of d.
TEST(PairedBootstrap, OfMeansIsTheBootstrapOfTheMeanDifference) {
  const Vector a = normal_rows(3, 200), shared = a + 0.1 * normal_rows(4, 200);
  const BootstrapOptions options{.replications = 500};
  const ScoreDifference paired = bootstrap_difference(weighted_mean(a), weighted_mean(shared), 200, options);
  const ScoreInterval direct = bootstrap_score(weighted_mean(a - shared), 200, options);
  EXPECT_NEAR(paired.difference.low, direct.low, 1e-14);
  EXPECT_NEAR(paired.difference.high, direct.high, 1e-14);
  EXPECT_NEAR(paired.difference.standard_error, direct.standard_error, 1e-14);
  EXPECT_EQ(paired.first, a.mean());
  // The other way round: the interval is mirrored up to interpolation (exact: (R + 1) p is symmetric).
  const ScoreDifference mirrored = bootstrap_difference(weighted_mean(shared), weighted_mean(a), 200, options);
  EXPECT_NEAR(mirrored.difference.low, -paired.difference.high, 1e-14);
  EXPECT_EQ(mirrored.p_value, paired.p_value);
}

TEST(PairedBootstrap, PValueOfEqualsIsOneAndOfASureDifferenceTheLeast) {
  const Vector a = normal_rows(5, 50);
  const BootstrapOptions options{.replications = 99};
  EXPECT_EQ(bootstrap_difference(weighted_mean(a), weighted_mean(a), 50, options).p_value, 1);
  const Vector above = a.array() + 1;
  EXPECT_NEAR(bootstrap_difference(weighted_mean(above), weighted_mean(a), 50, options).p_value, 0.02, 1e-15);
}

// Under equality the p-value of a mean of 100 normal differences is uniform up to O(n^-1/2): of 200 draws, those at or
// below 0.2 are binomial(200, 0.2), 40 +- 4 * 5.7, and another 2 % for what the bootstrap's s.d. is short of (divisor n).
TEST(PairedBootstrap, PValueIsUniformUnderEquality) {
  int small = 0;
  for (std::uint64_t repeat = 0; repeat < 200; ++repeat) {
    const Vector a = normal_rows(100 + repeat, 100), zero = Vector::Zero(100);
    const BootstrapOptions options{.replications = 199, .seed = repeat};
    small += bootstrap_difference(weighted_mean(a), weighted_mean(zero), 100, options).p_value <= 0.2;
  }
  EXPECT_NEAR(small, 40, 4 * 5.7 + 4);
}

TEST(Bootstrap, RefusesWhatHasNoMeaning) {
  const WeightedScore mean = weighted_mean(numbers({1, 2}));
  const std::vector<std::int64_t> group{1, 2, 3};
  EXPECT_THROW(bootstrap_score(mean, 0), std::invalid_argument);
  EXPECT_THROW(bootstrap_score(mean, 3), std::invalid_argument);
  EXPECT_THROW(bootstrap_score(mean, 2, {.replications = 1}), std::invalid_argument);
  EXPECT_THROW(bootstrap_score(mean, 2, {.level = 1}), std::invalid_argument);
  EXPECT_THROW(bootstrap_score(mean, 2, {.group = group}), std::invalid_argument);
  EXPECT_THROW(weighted_mean(numbers({std::nan("")})), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
