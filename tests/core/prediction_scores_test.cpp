// Scores against scipy (scores_reference.py), values worked out by hand, definitions over all pairs, and laws.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "clearway/core/prediction_scores.hpp"
#include "laws/generated.hpp"
#include "score_rows.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using test::numbers;
using test::ReferenceRows;

constexpr double kExact = 1e-12;  // the constants have 15 digits; sums of 60 to 180 terms of order one

TEST(BinaryScores, AgreeWithScipy) {
  const ReferenceRows rows;
  ASSERT_EQ(rows.event.sum(), 23);
  EXPECT_NEAR(*auroc(rows.logit, rows.event), 0.675675675675676, kExact);
  EXPECT_NEAR(*average_precision(rows.logit, rows.event), 0.55331700176593, kExact);
  EXPECT_NEAR(brier(rows.probability, rows.event), 0.259521323130345, kExact);
  EXPECT_NEAR(log_loss(rows.probability, rows.event), 0.732166883914608, kExact);
}

TEST(ClassScores, AgreeWithScipy) {
  const ReferenceRows rows;
  const Matrix labels = one_hot(rows.classes, 3);
  const LabelScores areas = label_auroc(rows.class_probability, labels);
  EXPECT_NEAR(*areas.macro, 0.868267356891448, kExact);
  EXPECT_EQ(areas.left_out, 0);
  EXPECT_NEAR(*micro_auroc(rows.class_probability, labels), 0.866666666666667, kExact);
  const LabelF1 f = label_f1(one_hot(top_class(rows.class_probability), 3), labels);
  EXPECT_NEAR(f.macro, 0.67687303364795, kExact);
  EXPECT_NEAR(f.weighted, 0.674651522423079, kExact);
  EXPECT_NEAR(f.micro, 0.683333333333333, kExact);  // one class per row: the accuracy
  EXPECT_NEAR(accuracy(rows.class_probability, rows.classes), 0.683333333333333, kExact);
  EXPECT_NEAR(multiclass_log_loss(rows.class_probability, rows.classes), 0.748273479345455, kExact);
  EXPECT_NEAR(multiclass_brier(rows.class_probability, rows.classes), 0.439107724484715, kExact);
}

TEST(RegressionScores, AgreeWithScipy) {
  const ReferenceRows rows;
  EXPECT_NEAR(*pearson_correlation(rows.guess, rows.number), 0.900816633154092, kExact);
  EXPECT_NEAR(*r_squared(rows.guess, rows.number), 0.792897642059992, kExact);
  EXPECT_NEAR(mean_absolute_error(rows.guess, rows.number), 0.785171237754939, kExact);
  EXPECT_NEAR(root_mean_squared_error(rows.guess, rows.number), 0.965934813688308, kExact);
  EXPECT_NEAR(gaussian_log_loss(rows.guess, rows.deviation, rows.number), 1.81346477255273, kExact);
}

/// Scores on a grid (ties) or not, with both classes in at least one row each.
struct TwoClasses {
  Vector score, target;
  explicit TwoClasses(laws::Problem& problem) : score(problem.n + 1), target(problem.n + 1) {
    const bool ties = problem.random.uniform() < 0.5;
    for (Index i = 0; i < score.size(); ++i) {
      score(i) = problem.random.normal();
      if (ties) score(i) = std::round(2 * score(i));
      target(i) = problem.random.uniform() < 0.5;
    }
    target(0) = 0;
    target(1) = 1;
  }
};

TEST(BinaryScores, AurocIsTheShareOfPairsWon) {
  EXPECT_TRUE(laws::holds("AUROC = P(event above non-event) + half of P(even)", [](laws::Problem& problem) {
    const TwoClasses rows(problem);
    double won = 0, pairs = 0;
    for (Index i = 0; i < rows.score.size(); ++i)
      for (Index j = 0; j < rows.score.size(); ++j)
        if (rows.target(i) == 1 && rows.target(j) == 0) {
          pairs += 1;
          won += rows.score(i) > rows.score(j) ? 1 : rows.score(i) == rows.score(j) ? 0.5 : 0;
        }
    const double area = *auroc(rows.score, rows.target);
    laws::require_at_most(std::abs(area - won / pairs), 1e-14);
    laws::require_at_most(std::abs(*auroc(-rows.score, rows.target) - (1 - area)), 1e-14);
    const Vector other = rows.score.array().exp() * 3 - 100;  // increasing
    laws::require(*auroc(other, rows.target) == area);
    laws::require(*average_precision(other, rows.target) == *average_precision(rows.score, rows.target));
    const Vector flipped = 1 - rows.target.array();
    laws::require_at_most(std::abs(*auroc(rows.score, flipped) - (1 - area)), 1e-14);
  }));
}

TEST(BinaryScores, TheAreaUnderTheRocCurveIsAuroc) {
  EXPECT_TRUE(laws::holds("trapezia under the ROC curve = AUROC; steps under precision-recall = AP", [](auto& problem) {
    const TwoClasses rows(problem);
    const auto roc = roc_curve(rows.score, rows.target);
    double area = 0;
    for (std::size_t i = 1; i < roc.size(); ++i)
      area += (roc[i].false_positive_rate - roc[i - 1].false_positive_rate) *
              (roc[i].true_positive_rate + roc[i - 1].true_positive_rate) / 2;
    laws::require_at_most(std::abs(area - *auroc(rows.score, rows.target)), 1e-14);
    laws::require(roc.back().false_positive_rate == 1 && roc.back().true_positive_rate == 1);
    double steps = 0, recall = 0;
    for (const auto& point : precision_recall_curve(rows.score, rows.target)) {
      steps += (point.recall - recall) * point.precision;
      recall = point.recall;
    }
    laws::require_at_most(std::abs(steps - *average_precision(rows.score, rows.target)), 1e-14);
  }));
}

TEST(BinaryScores, WeightsAreRepetitions) {
  EXPECT_TRUE(laws::holds("a weight of w = w copies of the row", [](laws::Problem& problem) {
    const TwoClasses rows(problem);
    std::vector<double> weights, score, target;
    for (Index i = 0; i < rows.score.size(); ++i) {
      weights.push_back(static_cast<double>(problem.between(i < 2 ? 1 : 0, 3)));
      for (double copy = 0; copy < weights.back(); ++copy) {
        score.push_back(rows.score(i));
        target.push_back(rows.target(i));
      }
    }
    const RankedScores ranked(rows.score, rows.target);
    laws::require_at_most(std::abs(*ranked.auroc(weights) - *auroc(numbers(score), numbers(target))), 1e-14);
    laws::require_at_most(
        std::abs(*ranked.average_precision(weights) - *average_precision(numbers(score), numbers(target))), 1e-14);
  }));
}

TEST(BinaryScores, BestF1ThresholdIsTheBestOfAll) {
  EXPECT_TRUE(laws::holds("no threshold has a larger F1", [](laws::Problem& problem) {
    const TwoClasses rows(problem);
    const ChosenThreshold best = best_f1_threshold(rows.score, rows.target);
    laws::require_at_most(std::abs(f1(rows.score, rows.target, best.threshold) - best.f1), 1e-15);
    for (const double threshold : rows.score)
      laws::require_at_most(f1(rows.score, rows.target, threshold), best.f1 + 1e-15);
  }));
  // Events 0.9 and 0.6, non-events 0.7 and 0.2: F1 is 2/3 at 0.9, 1/2 at 0.7, 4/5 at 0.6, 2/3 at 0.2.
  const ChosenThreshold best = best_f1_threshold(numbers({0.9, 0.7, 0.6, 0.2}), numbers({1, 0, 1, 0}));
  EXPECT_NEAR(best.f1, 0.8, 1e-15);
  EXPECT_NEAR(best.threshold, 0.4, 1e-15);
  EXPECT_NEAR(f1(numbers({0.9, 0.7, 0.6, 0.2}), numbers({1, 0, 1, 0})), 0.8, 1e-15);
  EXPECT_EQ(best_f1_threshold(numbers({0.1, 0.8}), numbers({0, 0})).threshold, 0.8);
}

TEST(CalibrationError, WorkedOutByHand) {
  // Two bins: (0.1, 0.1, 0.2) with one event, (0.6, 0.9, 0.8) with three.
  const CalibrationError ece =
      expected_calibration_error(numbers({0.9, 0.1, 0.6, 0.1, 0.8, 0.2}), numbers({1, 0, 1, 1, 1, 0}), 2);
  ASSERT_EQ(ece.bins.size(), 2U);
  EXPECT_EQ(ece.bins[0].count, 3);
  EXPECT_NEAR(ece.bins[0].mean_predicted, 0.4 / 3, 1e-15);
  EXPECT_NEAR(ece.bins[0].observed_rate, 1.0 / 3, 1e-15);
  EXPECT_NEAR(ece.bins[1].mean_predicted, 2.3 / 3, 1e-15);
  EXPECT_NEAR(ece.error, (0.6 + 0.7) / 6, 1e-15);
  // Wilson 1927 for 3 of 3: n / (n + z^2) to 1.
  EXPECT_NEAR(ece.bins[1].low, 3 / (3 + 3.8414588206941236), 1e-12);
  EXPECT_NEAR(ece.bins[1].high, 1, 1e-12);
  // Equal probabilities stay together, in the bin of their middle: ranks 1 to 4 of 4, middle 2.5 of 4.
  const CalibrationError ties = expected_calibration_error(numbers({0.3, 0.3, 0.2, 0.3}), numbers({0, 1, 0, 0}), 2);
  ASSERT_EQ(ties.bins.size(), 2U);
  EXPECT_EQ(ties.bins[0].count, 1);
  EXPECT_NEAR(ties.error, (0.2 + std::abs(0.9 - 1)) / 4, 1e-15);
}

TEST(CalibrationError, Laws) {
  EXPECT_TRUE(laws::holds("0 <= ECE <= 1; the order of rows does not matter; rates are exact", [](auto& problem) {
    const TwoClasses rows(problem);
    const Vector p = 1 / (1 + (-rows.score.array()).exp());
    const int bins = static_cast<int>(problem.between(1, 12));
    const CalibrationError ece = expected_calibration_error(p, rows.target, bins);
    laws::require(ece.error >= 0 && ece.error <= 1);
    Index count = 0;
    for (const auto& bin : ece.bins) {
      count += bin.count;
      laws::require(bin.low <= bin.observed_rate + 1e-15 && bin.observed_rate <= bin.high + 1e-15);
    }
    laws::require(count == p.size());
    const auto order = problem.random.permutation(static_cast<std::size_t>(p.size()));
    laws::require_at_most(std::abs(expected_calibration_error(p(order), rows.target(order), bins).error - ece.error),
                          1e-14);
    // One bin: |mean p - rate|, which no finer binning can fall below (triangle inequality).
    const double one = expected_calibration_error(p, rows.target, 1).error;
    laws::require_at_most(std::abs(one - std::abs(p.mean() - rows.target.mean())), 1e-14);
    laws::require_at_most(one, ece.error + 1e-14);
    // The targets themselves as probabilities are perfect.
    laws::require_at_most(expected_calibration_error(rows.target, rows.target, bins).error, 0);
  }));
}

TEST(BinaryScores, LogLossStaysFiniteAndExactInTheTails) {
  EXPECT_NEAR(log_loss(numbers({1, 0}), numbers({0, 1})), 52 * std::numbers::ln2, 1e-12);
  EXPECT_NEAR(log_loss(numbers({1e-12}), numbers({0})), 1e-12, 1e-24);
}

TEST(BinaryScores, WhatDoesNotExistIsEmptyAndWhatIsWrongIsRefused) {
  EXPECT_FALSE(auroc(numbers({0.1, 0.2}), numbers({1, 1})).has_value());
  EXPECT_FALSE(average_precision(numbers({0.1, 0.2}), numbers({0, 0})).has_value());
  EXPECT_EQ(*average_precision(numbers({0.1, 0.2}), numbers({1, 1})), 1);
  EXPECT_THROW(roc_curve(numbers({0.1, 0.2}), numbers({1, 1})), std::invalid_argument);
  EXPECT_THROW(precision_recall_curve(numbers({0.1, 0.2}), numbers({0, 0})), std::invalid_argument);
  EXPECT_THROW(auroc(Vector(), Vector()), std::invalid_argument);
  EXPECT_THROW(brier(numbers({0.1}), numbers({0, 1})), std::invalid_argument);
  EXPECT_THROW(brier(numbers({1.1}), numbers({1})), std::invalid_argument);
  EXPECT_THROW(auroc(numbers({0.1, 0.2}), numbers({1, 2})), std::invalid_argument);
  const double nan = std::numeric_limits<double>::quiet_NaN(), far = std::numeric_limits<double>::infinity();
  EXPECT_EQ(*auroc(numbers({-far, far}), numbers({0, 1})), 1);
  try {
    auroc(numbers({0.1, nan}), numbers({0, 1}));
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "ranking: every prediction must be a number; row 1 has nan");
  }
  EXPECT_THROW(log_loss(numbers({nan}), numbers({0})), std::invalid_argument);
  EXPECT_THROW(f1(numbers({nan}), numbers({0})), std::invalid_argument);
}

TEST(ClassScores, LabelsWithoutBothClassesAreLeftOutAndCounted) {
  Matrix score(3, 3), target(3, 3);
  score << 0.1, 0.5, 0.3, 0.9, 0.6, 0.4, 0.5, 0.2, 0.5;
  target << 0, 1, 0, 1, 1, 0, 0, 1, 0;  // label 1 is always true, label 2 never
  const LabelScores areas = label_auroc(score, target);
  EXPECT_EQ(areas.left_out, 2);
  EXPECT_EQ(*areas.macro, 1);
  EXPECT_FALSE(areas.per_label[1].has_value());
  const LabelScores precision = label_average_precision(score, target);
  EXPECT_EQ(precision.left_out, 1);  // average precision needs events only
  EXPECT_EQ(*precision.macro, 1);
  EXPECT_FALSE(label_auroc(score.col(1), target.col(1)).macro.has_value());
  // Micro: events at .9 .5 .6 .2, others at .1 .5 .3 .4 .5: pairs won 5 + 3 + 2 * 0.5 + 5 + 1 = 15 of 20.
  EXPECT_NEAR(*micro_auroc(score, target), 15.0 / 20, 1e-15);
}

TEST(ClassScores, F1OfLabelsByHand) {
  Matrix predicted(3, 2), target(3, 2);
  predicted << 1, 0, 1, 0, 0, 0;
  target << 1, 1, 0, 0, 0, 0;
  const LabelF1 f = label_f1(predicted, target);  // label 0: TP 1, FP 1; label 1: FN 1
  EXPECT_NEAR(f.per_label(0), 2.0 / 3, 1e-15);
  EXPECT_EQ(f.per_label(1), 0);
  EXPECT_NEAR(f.macro, 1.0 / 3, 1e-15);
  EXPECT_NEAR(f.micro, 0.5, 1e-15);
  EXPECT_NEAR(f.weighted, 1.0 / 3, 1e-15);
  EXPECT_NEAR(subset_accuracy(predicted, target), 1.0 / 3, 1e-15);
  Matrix p(2, 2);
  p << 0.4, 0.6, 0.5, 0.1;
  EXPECT_EQ(at_thresholds(p, numbers({0.5, 0.6})), (Matrix(2, 2) << 0, 1, 1, 0).finished());
}

TEST(ClassScores, TwoClassesAreTheBinaryScores) {
  EXPECT_TRUE(laws::holds("C = 2: log-loss, Brier and accuracy of (1-p, p)", [](laws::Problem& problem) {
    const TwoClasses rows(problem);
    Matrix p(rows.score.size(), 2);
    p.col(1) = 1 / (1 + (-rows.score.array()).exp());
    p.col(0) = 1 - p.col(1).array();
    std::vector<int> classes;
    for (const double y : rows.target) classes.push_back(y > 0);
    laws::require_at_most(std::abs(multiclass_log_loss(p, classes) - log_loss(p.col(1), rows.target)), 1e-12);
    laws::require_at_most(std::abs(multiclass_brier(p, classes) - 2 * brier(p.col(1), rows.target)), 1e-12);
    const CalibrationError top = top_class_calibration_error(p, classes, 1);
    laws::require_at_most(std::abs(top.bins[0].observed_rate - accuracy(p, classes)), 1e-15);
  }));
}

TEST(ClassScores, RefuseWhatIsNotADistribution) {
  const std::vector<int> classes{0, 1};
  EXPECT_THROW(multiclass_log_loss(Matrix::Constant(2, 2, 0.4), classes), std::invalid_argument);
  EXPECT_THROW(multiclass_brier(Matrix::Constant(2, 1, 1.0), classes), std::invalid_argument);
  EXPECT_THROW(accuracy(Matrix::Constant(3, 2, 0.5), classes), std::invalid_argument);
  EXPECT_THROW(top_class(Matrix::Constant(1, 2, std::nan(""))), std::invalid_argument);
  EXPECT_EQ(top_class(Matrix::Constant(1, 2, 0.5)), std::vector<int>{0});
}

TEST(RegressionScores, SignInBothConventions) {
  // Targets -1, 0, 2, 1, -2 and predictions -0.5, 0, 1, -1, 0.
  const SignScores sign = sign_scores(numbers({-0.5, 0, 1, -1, 0}), numbers({-1, 0, 2, 1, -2}));
  EXPECT_EQ(sign.zeros, 1);
  EXPECT_NEAR(sign.accuracy_with_zeros, 3.0 / 5, 1e-15);  // >= 0: target 0 1 1 1 0, predicted 0 1 1 0 1
  EXPECT_NEAR(sign.f1_with_zeros, (3 * (4.0 / 6) + 2 * (2.0 / 4)) / 5, 1e-15);
  EXPECT_NEAR(*sign.accuracy_without_zeros, 3.0 / 4, 1e-15);  // > 0: target 0 1 1 0, predicted 0 1 0 0
  EXPECT_NEAR(*sign.f1_without_zeros, (2 * (2.0 / 3) + 2 * (4.0 / 5)) / 4, 1e-15);
  EXPECT_FALSE(sign_scores(numbers({1}), numbers({0})).accuracy_without_zeros.has_value());
}

TEST(RegressionScores, Laws) {
  EXPECT_TRUE(laws::holds("correlation is invariant to increasing lines; R2 of the mean is 0", [](auto& problem) {
    const Vector y = laws::normal_array(problem.random, problem.n + 1, 1);
    const Vector f = laws::normal_array(problem.random, problem.n + 1, 1);
    const double r = *pearson_correlation(f, y);
    laws::require_at_most(std::abs(*pearson_correlation((5 - 3 * f.array()).matrix(), y) + r), 1e-12);
    laws::require_at_most(std::abs(*r_squared(Vector::Constant(y.size(), y.mean()), y)), 1e-12);
    laws::require_at_most(mean_absolute_error(f, y), root_mean_squared_error(f, y) + 1e-15);
    laws::require(*r_squared(y, y) == 1);
  }));
  EXPECT_FALSE(pearson_correlation(numbers({1, 1}), numbers({1, 2})).has_value());
  EXPECT_FALSE(r_squared(numbers({1, 2}), numbers({1, 1})).has_value());
  EXPECT_THROW(mean_absolute_error(numbers({std::nan("")}), numbers({1})), std::invalid_argument);
  EXPECT_THROW(gaussian_log_loss(numbers({0}), numbers({0}), numbers({1})), std::invalid_argument);
}

TEST(RegressionScores, IntervalsCountTheirEnds) {
  const double far = std::numeric_limits<double>::infinity();
  const IntervalScores scores = interval_scores(numbers({0, 0, 0, 0}), numbers({1, 2, 1, 1}), numbers({1, 0, 2, -1}));
  EXPECT_EQ(scores.coverage, 0.5);
  EXPECT_EQ(scores.mean_width, 1.25);
  EXPECT_EQ(interval_scores(numbers({-far}), numbers({far}), numbers({1})).coverage, 1);
  EXPECT_THROW(interval_scores(numbers({1}), numbers({0}), numbers({1})), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
