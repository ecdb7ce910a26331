// Conformal prediction against its theorem, exactly and by simulation; abstention against values worked out by hand and
// the definition; ensembles against closed forms.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "clearway/base/random.hpp"
#include "clearway/core/abstention.hpp"
#include "clearway/core/calibration.hpp"
#include "clearway/core/conformal.hpp"
#include "clearway/core/ensemble.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "laws/generated.hpp"
#include "score_rows.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using test::numbers;

constexpr double kFar = std::numeric_limits<double>::infinity();

TEST(ConformalQuantile, ByHand) {
  const Vector scores = numbers({9, 1, 8, 2, 7, 3, 6, 4, 5});
  EXPECT_EQ(conformal_quantile(scores, 0.1), 9);      // rank 10 * 0.9 = 9
  EXPECT_EQ(conformal_quantile(scores, 0.2), 8);      // rank 8, though 1 - 0.2 is not 0.8 to the last digit
  EXPECT_EQ(conformal_quantile(scores, 0.25), 8);     // rank ceil(7.5)
  EXPECT_EQ(conformal_quantile(scores, 0.09), kFar);  // rank ceil(9.1) = 10 of 9
  EXPECT_EQ(conformal_quantile(scores, 0.99), 1);
  EXPECT_EQ(conformal_quantile(Vector(), 0.5), kFar);
  for (const double alpha : {0.0, 1.0, std::nan("")})
    EXPECT_THROW(conformal_quantile(scores, alpha), std::invalid_argument);
  EXPECT_THROW(conformal_quantile(numbers({std::nan("")}), 0.5), std::invalid_argument);
}

// The theorem without any probability: of n + 1 scores, each held out in turn, at least (n + 1)(1 - alpha) lie at or below
// the quantile of the others; exactly ceil((n + 1)(1 - alpha)) where none tie and that is at most n.
TEST(ConformalQuantile, HoldsTheChosenShareOfExchangeableScores) {
  EXPECT_TRUE(laws::holds("leave one out: coverage >= 1 - alpha, exactly the rank without ties", [](auto& problem) {
    const Index all = problem.between(2, 40);
    Vector scores = laws::normal_array(problem.random, all, 1);
    const bool ties = problem.random.uniform() < 0.5;
    if (ties) scores = scores.array().round();
    const double alpha = static_cast<double>(problem.between(1, 19)) / 20;
    Index held = 0;
    for (Index i = 0; i < all; ++i) {
      Vector others(all - 1);
      others << scores.head(i), scores.tail(all - 1 - i);
      held += scores(i) <= conformal_quantile(others, alpha);
    }
    const Index rank = (all * (20 - std::lround(20 * alpha)) + 19) / 20;  // in whole numbers
    laws::require(ties ? held >= rank : held == rank);
  }));
}

// Coverage given the calibration rows is Beta(k, n + 1 - k): mean k / (n + 1), variance mean (1 - mean) / (n + 2). With m
// new rows each, R repeats have variance (beta variance + mean (1 - mean) / m) / R or less.
TEST(Conformal, CoversAsTheTheoremSays) {
  const Index n = 49, m = 50, repeats = 400;
  const double mean = 45.0 / 50;  // k = ceil(50 * 0.9)
  const double error = std::sqrt((mean * (1 - mean) / 51 + mean * (1 - mean) / 50) / 400);
  double of_residuals = 0, of_sets = 0;
  RandomStream random(21);
  const auto draw = [&](Index rows) {
    Matrix out(rows, 4);  // mean, deviation, target, probability of an event
    for (Index i = 0; i < rows; ++i) {
      out(i, 0) = random.normal();
      out(i, 1) = 0.5 + random.uniform();
      out(i, 2) = out(i, 0) + out(i, 1) * random.student_t(3);  // not what the model thinks
      out(i, 3) = 1 / (1 + std::exp(-3 * random.normal()));
    }
    return out;
  };
  const auto sets_of = [&](const Matrix& rows) {
    Matrix p(rows.rows(), 2);
    p << Vector(1 - rows.col(3).array()), rows.col(3);
    return class_conformity(ClassScore::lac, p);
  };
  const auto classes_of = [&](const Matrix& rows) {
    std::vector<int> out;  // events are rarer than the model thinks
    for (Index i = 0; i < rows.rows(); ++i) out.push_back(random.uniform() < 0.6 * rows(i, 3));
    return out;
  };
  for (Index repeat = 0; repeat < repeats; ++repeat) {
    const Matrix known = draw(n), fresh = draw(m);
    const double q = conformal_quantile(residual_scores(known.col(0), known.col(2), known.col(1)), 0.1);
    const PredictionIntervals intervals = conformal_intervals(fresh.col(0), Vector::Constant(1, q), fresh.col(1));
    of_residuals += interval_scores(intervals.low, intervals.high, fresh.col(2)).coverage / repeats;
    const double level = conformal_quantile(scores_of_classes(sets_of(known), classes_of(known)), 0.1);
    of_sets +=
        set_scores(prediction_sets(sets_of(fresh), Vector::Constant(1, level)), classes_of(fresh)).coverage / repeats;
  }
  EXPECT_NEAR(of_residuals, mean, 4 * error);
  EXPECT_NEAR(of_sets, mean, 4 * error);
}

TEST(Conformal, ScoresOfClassesByHand) {
  Matrix p(2, 3);
  p << 0.5, 0.2, 0.3, 0.4, 0.4, 0.2;
  Matrix lac(2, 3), aps(2, 3);
  lac << 0.5, 0.8, 0.7, 0.6, 0.6, 0.8;
  aps << 0.5, 1.0, 0.8, 0.4, 0.8, 1.0;  // the first of equals counts as the larger
  EXPECT_TRUE(class_conformity(ClassScore::lac, p).isApprox(lac, 1e-15));
  EXPECT_TRUE(class_conformity(ClassScore::aps, p).isApprox(aps, 1e-15));
  const std::vector<int> classes{2, 0};
  EXPECT_TRUE(scores_of_classes(aps, classes).isApprox(numbers({0.8, 0.4})));
  const Flags sets = prediction_sets(aps, numbers({0.8, 0.3}));
  EXPECT_TRUE((sets.row(0) == Eigen::Array<bool, 1, 3>(true, false, true)).all());
  EXPECT_EQ(sets.row(1).count(), 0);
  const SetScores scores = set_scores(sets, classes);
  EXPECT_EQ(scores.coverage, 0.5);
  EXPECT_EQ(scores.mean_size, 1);
  EXPECT_EQ(scores.empty, 0.5);
  EXPECT_EQ(scores.single, 0);
  EXPECT_TRUE(prediction_sets(lac, Vector::Constant(1, kFar)).all());
  EXPECT_THROW(prediction_sets(lac, numbers({1, 2, 3})), std::invalid_argument);
  EXPECT_THROW(class_conformity(ClassScore::aps, Matrix::Constant(1, 2, 0.4)), std::invalid_argument);
}

TEST(Conformal, SetsGrowWithTheLevel) {
  EXPECT_TRUE(laws::holds("a smaller alpha gives a set that holds the former one", [](laws::Problem& problem) {
    const Index n = problem.n + 5;
    const Matrix p = class_probability(laws::normal_array(problem.random, n, problem.k + 1).matrix(), 0.5);
    std::vector<int> classes;
    for (Index i = 0; i < n; ++i) classes.push_back(static_cast<int>(problem.between(0, problem.k)));
    for (const ClassScore kind : {ClassScore::lac, ClassScore::aps}) {
      const Matrix conformity = class_conformity(kind, p);
      const Vector scores = scores_of_classes(conformity, classes);
      const Flags small = prediction_sets(conformity, Vector::Constant(1, conformal_quantile(scores, 0.5)));
      const Flags large = prediction_sets(conformity, Vector::Constant(1, conformal_quantile(scores, 0.2)));
      laws::require((!small || large).all());
      // The most probable class is in every set that is not empty.
      const std::vector<int> top = top_class(p);
      for (Index i = 0; i < n; ++i)
        laws::require(large.row(i).count() == 0 || large(i, top[static_cast<std::size_t>(i)]));
    }
  }));
}

TEST(Conformal, GroupsHaveTheirOwnQuantileOrSayWhyNot) {
  Vector scores(25);
  std::vector<int> groups;
  for (int i = 0; i < 25; ++i) {
    scores(i) = i < 10 ? i : i < 22 ? 100 + i : 1000;  // groups 0, 1, 5 of 10, 12, 3 rows
    groups.push_back(i < 10 ? 0 : i < 22 ? 1 : 5);
  }
  const ConformalQuantiles q = fit_conformal(scores, 0.2, groups);
  EXPECT_EQ(q.of_group(0), 8);    // rank ceil(11 * 0.8) = 9 of 0 .. 9
  EXPECT_EQ(q.of_group(1), 120);  // rank ceil(13 * 0.8) = 11 of 110 .. 121
  EXPECT_EQ(q.pooled, 120);       // rank ceil(26 * 0.8) = 21 of 25
  EXPECT_EQ(q.of_group(5), q.pooled);
  EXPECT_EQ(q.of_group(77), q.pooled);
  EXPECT_EQ(q.too_few.at(5), 3);
  EXPECT_EQ(q.note, "group 5 has 3 calibration rows, too few for alpha 0.2: it uses the quantile of all rows");
  // 1 - 0.9 is not 0.1.
  EXPECT_EQ(fit_conformal(scores, 1 - 0.9, groups).note,
            "group 5 has 3 calibration rows, too few for alpha 0.1: it uses the quantile of all rows");
  EXPECT_TRUE(q.of_rows(std::vector<int>{5, 0}).isApprox(numbers({120, 8})));
  EXPECT_TRUE(fit_conformal(scores, 0.2).note.empty());
  EXPECT_NE(fit_conformal(numbers({1, 2}), 0.1).note.find("too few"), std::string::npos);
  EXPECT_THROW(fit_conformal(scores, 0.2, std::vector<int>{1}), std::invalid_argument);
}

TEST(Conformal, IntervalsAndCoverageByGroup) {
  const PredictionIntervals intervals = conformal_intervals(numbers({0, 10}), numbers({2, 3}), numbers({1, 0.5}));
  EXPECT_EQ(intervals.low, numbers({-2, 8.5}));
  EXPECT_EQ(intervals.high, numbers({2, 11.5}));
  EXPECT_EQ(conformal_intervals(numbers({0}), numbers({kFar})).high(0), kFar);
  EXPECT_EQ(residual_scores(numbers({1, 2}), numbers({3, 1})), numbers({2, 1}));
  Flags covered(4, 1);
  covered << true, false, true, true;
  const auto by_group = coverage_by_group(covered, std::vector<int>{2, 2, 1, 2});
  ASSERT_EQ(by_group.size(), 2U);
  EXPECT_EQ(by_group[0].group, 1);
  EXPECT_EQ(by_group[0].coverage, 1);
  EXPECT_EQ(by_group[1].rows, 3);
  EXPECT_NEAR(by_group[1].coverage, 2.0 / 3, 1e-15);
}

TEST(Abstention, ByHand) {
  // Confidence .9 right, .8 wrong, .8 right, .6 wrong.
  const Vector confidence = numbers({0.8, 0.9, 0.6, 0.8}), right = numbers({0, 1, 0, 1});
  const auto curve = risk_coverage(confidence, right);
  ASSERT_EQ(curve.size(), 3U);
  EXPECT_EQ(curve[1].threshold, 0.8);
  EXPECT_EQ(curve[1].coverage, 0.75);
  EXPECT_NEAR(curve[1].risk, 1.0 / 3, 1e-15);
  EXPECT_EQ(curve[2].risk, 0.5);
  EXPECT_EQ(threshold_for_risk(curve, 0.4)->threshold, 0.8);
  EXPECT_EQ(threshold_for_risk(curve, 0.1)->threshold, 0.9);
  EXPECT_EQ(threshold_for_risk(curve, 0.5)->coverage, 1);
  EXPECT_FALSE(threshold_for_risk(risk_coverage(confidence, numbers({0, 0, 0, 0})), 0.4).has_value());
  EXPECT_EQ(threshold_for_coverage(curve, 0.3).threshold, 0.8);
  EXPECT_EQ(threshold_for_coverage(curve, 0.75).threshold, 0.8);
  EXPECT_EQ(threshold_for_coverage(curve, 1).threshold, 0.6);
  // m = 1: 0; m = 2: half an error of 2; m = 3: 1 of 3; m = 4: 2 of 4.
  EXPECT_NEAR(area_under_risk_coverage(confidence, right), (0 + 0.25 + 1.0 / 3 + 0.5) / 4, 1e-15);
  EXPECT_THROW(risk_coverage(numbers({std::nan("")}), numbers({1})), std::invalid_argument);
  EXPECT_THROW(threshold_for_risk(curve, -0.1), std::invalid_argument);
  EXPECT_THROW(threshold_for_coverage(curve, 0), std::invalid_argument);
}

TEST(Abstention, ThresholdsDoWhatTheyPromise) {
  EXPECT_TRUE(laws::holds("answering at the threshold has the risk and coverage of its point", [](auto& problem) {
    const Index n = problem.n + 1;
    Vector confidence(n), right(n);
    for (Index i = 0; i < n; ++i) {
      confidence(i) = std::round(10 * problem.random.uniform()) / 10;
      right(i) = problem.random.uniform() < confidence(i);
    }
    const auto curve = risk_coverage(confidence, right);
    for (const auto& point : curve) {
      const auto answered = (confidence.array() >= point.threshold).template cast<double>().eval();
      laws::require_at_most(std::abs(answered.mean() - point.coverage), 1e-15);
      const double wrong = (answered * (1 - right.array())).sum() / answered.sum();
      laws::require_at_most(std::abs(wrong - point.risk), 1e-15);
    }
    laws::require(curve.back().coverage == 1);
    const double limit = problem.random.uniform();
    const auto chosen = threshold_for_risk(curve, limit);
    for (const auto& point : curve)
      if (point.risk <= limit) laws::require(chosen && chosen->coverage >= point.coverage);
    if (chosen) laws::require_at_most(chosen->risk, limit);
  }));
}

TEST(Ensemble, ClosedForms) {
  // Two members that are sure of different classes: all of log 2 is disagreement.
  const std::vector<Matrix> sure{numbers({1, 0}).transpose(), numbers({0, 1}).transpose()};
  const EnsembleProbability apart = class_ensemble(sure);
  EXPECT_NEAR(apart.total_entropy(0, 0), std::log(2.0), 1e-15);
  EXPECT_EQ(apart.expected_entropy(0, 0), 0);
  EXPECT_NEAR(apart.mutual_information(0, 0), std::log(2.0), 1e-15);
  EXPECT_NEAR(apart.deviation(0, 0), std::sqrt(0.5), 1e-15);
  // Two that agree: none of it is.
  const std::vector<Matrix> same(3, Matrix::Constant(1, 1, 0.25));
  const EnsembleProbability together = label_ensemble(same);
  EXPECT_NEAR(together.total_entropy(0, 0), -0.25 * std::log(0.25) - 0.75 * std::log(0.75), 1e-15);
  EXPECT_NEAR(together.mutual_information(0, 0), 0, 1e-15);
  EXPECT_NEAR(together.deviation(0, 0), 0, 1e-16);
  EXPECT_EQ(label_ensemble(std::vector<Matrix>{same[0]}).deviation(0, 0), 0);
  // Means -1 and 1 of deviation 2: variance 4 + 1.
  const EnsembleGaussian gaussian =
      gaussian_ensemble(Matrix(numbers({-1, 1}).transpose()), Matrix::Constant(1, 2, 2.0));
  EXPECT_EQ(gaussian.mean(0), 0);
  EXPECT_NEAR(gaussian.deviation(0), std::sqrt(5.0), 1e-15);
  EXPECT_EQ(gaussian.between(0), 1);
  EXPECT_EQ(gaussian.within(0), 2);
}

TEST(Ensemble, Laws) {
  EXPECT_TRUE(laws::holds("0 <= information <= log M; = mean KL to the mean; events = two classes", [](auto& problem) {
    std::vector<Matrix> members, events, pairs;
    for (Index m = 0; m < problem.k; ++m) {
      members.push_back(class_probability(laws::normal_array(problem.random, problem.n, 3, 2).matrix()));
      events.push_back(members.back().col(0));
      Matrix pair(problem.n, 2);
      pair << members.back().col(0), Vector(1 - members.back().col(0).array());
      pairs.push_back(pair);
    }
    const EnsembleProbability out = class_ensemble(members);
    laws::require_at_most(out.mutual_information.maxCoeff(), std::log(static_cast<double>(problem.k)) + 1e-14);
    for (Index i = 0; i < problem.n; ++i) {
      double divergence = 0;
      for (const Matrix& p : members)
        divergence += (p.row(i).array() * (p.row(i).array() / out.mean.row(i).array()).log()).sum();
      laws::require_at_most(std::abs(divergence / static_cast<double>(problem.k) - out.mutual_information(i, 0)),
                            1e-13);
    }
    laws::require_at_most(
        (label_ensemble(events).total_entropy - class_ensemble(pairs).total_entropy).cwiseAbs().maxCoeff(), 1e-13);
    laws::require_at_most(
        (label_ensemble(events).mutual_information - class_ensemble(pairs).mutual_information).cwiseAbs().maxCoeff(),
        1e-13);
  }));
}

TEST(Ensemble, RefusesWhatDoesNotFit) {
  EXPECT_THROW(class_ensemble({}), std::invalid_argument);
  const std::vector<Matrix> shapes{Matrix::Constant(1, 2, 0.5), Matrix::Constant(2, 2, 0.5)};
  EXPECT_THROW(class_ensemble(shapes), std::invalid_argument);
  EXPECT_THROW(class_ensemble(std::vector<Matrix>{Matrix::Constant(1, 2, 0.6)}), std::invalid_argument);
  EXPECT_THROW(label_ensemble(std::vector<Matrix>{Matrix::Constant(1, 1, std::nan(""))}), std::invalid_argument);
  EXPECT_THROW(gaussian_ensemble(Matrix::Zero(1, 2), Matrix::Zero(1, 2)), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
