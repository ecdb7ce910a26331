// Ensembles of fusion models: means and variances by hand, calibration that comes back bit for bit, coverage, abstention.
#include "clearway/train/fusion_ensemble.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "clearway/core/prediction_scores.hpp"
#include "clearway/train/tensor_rows.hpp"
#include "fusion_samples.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using fusion::TargetKind;
using namespace testing_fusion;  // NOLINT(google-build-using-namespace)

struct Trial {
  fusion::PreparedData data;
  FusionTensors samples;
  FusionEnsemble ensemble;

  Trial(fusion::PreparedData given, int members)
      : data(std::move(given)), samples(data), ensemble(small_model(), samples.shapes(), data.target) {
    for (int i = 0; i < members; ++i) {
      auto model = ensemble.new_model(static_cast<std::uint64_t>(40 + i));
      const torch::NoGradGuard off;
      // Predictions that differ between samples and members.
      for (torch::Tensor& parameter : model->parameters()) parameter.mul_(2);
      model->eval();
      ensemble.add(model);
    }
  }
  Matrix raw(std::size_t member, const std::vector<std::int64_t>& rows) const {
    return to_matrix(fusion_outputs(*ensemble.members()[member], samples, row_tensor(rows)));
  }
};

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}
double entropy(double p) {
  return -p * std::log(p) - (1 - p) * std::log(1 - p);
}

TEST(FusionEnsemble, ProbabilityIsTheMeanOverMembers) {
  const Trial trial(samples_of(TargetKind::binary, 40), 3);
  const auto rows = range(5, 40);
  const FusionPrediction found = trial.ensemble.predict(trial.samples, rows);
  ASSERT_EQ(found.mean.rows(), 35);
  double largest = 0;
  for (Eigen::Index i = 0; i < 35; ++i) {
    double mean = 0, own = 0, squares = 0;
    std::vector<double> p;
    for (std::size_t m = 0; m < 3; ++m) p.push_back(sigmoid(trial.raw(m, rows)(i, 0)));
    for (const double v : p) mean += v / 3;
    for (const double v : p) own += entropy(v) / 3;
    for (const double v : p) squares += (v - mean) * (v - mean) / 3;
    EXPECT_NEAR(found.mean(i, 0), mean, 1e-12);
    EXPECT_NEAR(found.deviation(i, 0), std::sqrt(squares), 1e-12);
    EXPECT_NEAR(found.disagreement(i), entropy(mean) - own, 1e-12);
    largest = std::max(largest, found.disagreement(i));
  }
  EXPECT_GT(largest, 1e-4) << "members agree: nothing was tested";
}

TEST(FusionEnsemble, ClassesAreMeansOfSoftmaxes) {
  const Trial trial(samples_of(TargetKind::multiclass, 20), 2);
  const auto rows = range(0, 20);
  const FusionPrediction found = trial.ensemble.predict(trial.samples, rows);
  for (Eigen::Index i = 0; i < 20; ++i)
    for (Eigen::Index c = 0; c < 3; ++c) {
      double mean = 0;
      for (std::size_t m = 0; m < 2; ++m) {
        const Matrix z = trial.raw(m, rows);
        mean += std::exp(z(i, c)) / z.row(i).array().exp().sum() / 2;
      }
      EXPECT_NEAR(found.mean(i, c), mean, 1e-12);
    }
}

TEST(FusionEnsemble, NumbersAreAMixtureInTheirOwnUnits) {
  const Trial trial(samples_of(TargetKind::regression, 30), 3);
  const auto rows = range(0, 30);
  const FusionPrediction found = trial.ensemble.predict(trial.samples, rows);
  const double centre[] = {50, -3}, scale[] = {10, 0.5};
  for (Eigen::Index i = 0; i < 30; ++i)
    for (Eigen::Index j = 0; j < 2; ++j) {
      // E y = mean of means; E y^2 = mean of (variance + mean^2).
      double first = 0, second = 0;
      for (std::size_t m = 0; m < 3; ++m) {
        const Matrix z = trial.raw(m, rows);
        const double mean = centre[j] + scale[j] * z(i, j), sd = scale[j] * std::exp(z(i, 2 + j));
        first += mean / 3;
        second += (sd * sd + mean * mean) / 3;
      }
      EXPECT_NEAR(found.mean(i, j), first, 1e-12 * std::abs(first) + 1e-12);
      EXPECT_NEAR(found.deviation(i, j), std::sqrt(second - first * first), 1e-6 * found.deviation(i, j));
    }
  const Matrix target = trial.ensemble.targets(trial.samples, {4});
  EXPECT_NEAR(target(0, 1), -3 + 0.5 * static_cast<double>(trial.data.target.values[9]), 1e-12);
}

// Far from 0 the variance over members must not drown in roundings: means near 1e8 that differ by 1e-3 keep five digits.
TEST(FusionEnsemble, VarianceOverMembersDoesNotCancel) {
  fusion::PreparedData near = samples_of(TargetKind::regression, 12), far = near;
  near.target.centre = {0, 0};
  near.target.scale = far.target.scale = {1e-3, 1e-3};
  far.target.centre = {1e8, -1e8};
  const Trial one(near, 3), two(far, 3);
  const auto rows = range(0, 12);
  const Matrix a = one.ensemble.predict(one.samples, rows).deviation;
  const Matrix b = two.ensemble.predict(two.samples, rows).deviation;
  EXPECT_LT((a - b).cwiseAbs().maxCoeff(), 1e-4 * a.minCoeff());
}

void expect_equal_predictions(const Trial& a, const FusionEnsemble& b, const std::vector<std::int64_t>& rows) {
  const FusionPrediction one = a.ensemble.predict(a.samples, rows), two = b.predict(a.samples, rows);
  EXPECT_TRUE(one.mean == two.mean);
  EXPECT_TRUE(one.deviation == two.deviation);
  EXPECT_TRUE(one.disagreement == two.disagreement);
  const std::vector<int> there = modalities_there(a.samples, rows);
  if (one.kind == TargetKind::binary || one.kind == TargetKind::multiclass) {
    EXPECT_TRUE((a.ensemble.sets(one, there) == b.sets(two, there)).all());
    EXPECT_EQ(a.ensemble.abstain_below(), b.abstain_below());
  }
  if (one.kind == TargetKind::regression)
    for (Eigen::Index j = 0; j < one.mean.cols(); ++j) {
      const PredictionIntervals first = a.ensemble.intervals(one, j, there), second = b.intervals(two, j, there);
      EXPECT_TRUE(first.low == second.low);
      EXPECT_TRUE(first.high == second.high);
    }
  ASSERT_EQ(a.ensemble.thresholds().size(), b.thresholds().size());
  if (b.thresholds().size() > 0) {
    EXPECT_TRUE(a.ensemble.thresholds() == b.thresholds());
  }
}

FusionEnsemble copy_through_json(const Trial& trial) {
  FusionEnsemble copy(small_model(), trial.samples.shapes(), trial.data.target);
  for (const auto& member : trial.ensemble.members()) copy.add(member);
  copy.load_calibration(parse_json(json_text(trial.ensemble.calibration_json()), "calibration"), "calibration");
  return copy;
}

TEST(FusionEnsemble, CalibrationComesBackBitForBit) {
  for (const TargetKind kind : kKinds)
    for (const std::int64_t rows : {std::int64_t{5}, std::int64_t{120}}) {
      // 5 rows are too few for 90 %: quantiles are infinite.
      Trial trial(samples_of(kind, 200), 2);
      const bool events = kind == TargetKind::binary || kind == TargetKind::multiclass;
      trial.ensemble.calibrate(trial.samples, range(0, rows), 0.9, events ? 0.3 : 0);
      const FusionEnsemble copy = copy_through_json(trial);
      EXPECT_TRUE(copy.calibrated());
      EXPECT_EQ(copy.level(), 0.9);
      expect_equal_predictions(trial, copy, range(120, 200));
      const auto raw = trial.ensemble.predict(trial.samples, range(120, 200), {}, true);
      if (kind != TargetKind::regression) {
        EXPECT_FALSE(raw.mean == trial.ensemble.predict(trial.samples, range(120, 200)).mean)
            << "not calibrated at all";
      }
    }
}

TEST(FusionEnsemble, TooFewRowsMakeInfiniteIntervalsAndWholeSets) {
  Trial numbers(samples_of(TargetKind::regression, 60), 1), classes(samples_of(TargetKind::multiclass, 60), 1);
  for (Trial* trial : {&numbers, &classes}) {
    trial->ensemble.calibrate(trial->samples, range(0, 5), 0.9, 0);
    EXPECT_FALSE(trial->ensemble.notes().empty());
  }
  const auto rows = range(5, 60);
  const FusionEnsemble a = copy_through_json(numbers), b = copy_through_json(classes);
  const PredictionIntervals wide =
      a.intervals(a.predict(numbers.samples, rows), 1, modalities_there(numbers.samples, rows));
  EXPECT_TRUE((wide.low.array() == -std::numeric_limits<double>::infinity()).all());
  EXPECT_TRUE((wide.high.array() == std::numeric_limits<double>::infinity()).all());
  EXPECT_TRUE(b.sets(b.predict(classes.samples, rows), modalities_there(classes.samples, rows)).all());
}

/// Coverage given n calibration rows is a draw of Beta(k, n + 1 - k), k = ceil(0.9 (n + 1)), whose variance is below
/// 0.09 / n; the share among m new rows adds 0.09 / m. Five standard deviations. Where scores do not tie the mean of Beta
/// exceeds 0.9 by at most 1 / (n + 1).
void expect_coverage(double found, Eigen::Index calibration, Eigen::Index test) {
  const auto n = static_cast<double>(calibration), m = static_cast<double>(test);
  const double tolerance = 5 * std::sqrt(0.09 / n + 0.09 / m);
  EXPECT_GT(found, 0.9 - tolerance) << n << " and " << m << " rows";
  EXPECT_LT(found, 0.9 + tolerance + 1 / (n + 1)) << n << " and " << m << " rows";
}

// Untrained models: conformal sets hold their level whatever the model. Platt's two numbers, the temperature and the scale
// are learned from the same rows, which moves the coverage by O(1 / n), far below the tolerance.
TEST(FusionEnsemble, ConformalSetsAndIntervalsCover) {
  const auto calibration = range(0, 1000), test = range(1000, 3000);
  for (const TargetKind kind : {TargetKind::binary, TargetKind::multiclass, TargetKind::regression}) {
    Trial trial(samples_of(kind, 3000), 2);
    trial.ensemble.calibrate(trial.samples, calibration, 0.9, 0);
    const FusionPrediction prediction = trial.ensemble.predict(trial.samples, test);
    const Matrix target = trial.ensemble.targets(trial.samples, test);
    const std::vector<int> there = modalities_there(trial.samples, test);
    std::map<int, Eigen::Index> own, all;
    for (const int count : modalities_there(trial.samples, calibration)) ++own[count];
    std::vector<bool> covered;
    if (kind == TargetKind::regression) {
      const PredictionIntervals intervals = trial.ensemble.intervals(prediction, 1, there);
      for (Eigen::Index i = 0; i < target.rows(); ++i)
        covered.push_back(intervals.low(i) <= target(i, 1) && target(i, 1) <= intervals.high(i));
    } else {
      const Flags sets = trial.ensemble.sets(prediction, there);
      for (Eigen::Index i = 0; i < target.rows(); ++i)
        covered.push_back(sets(i, static_cast<Eigen::Index>(target(i, 0))));
    }
    std::map<int, double> hits;
    for (std::size_t i = 0; i < covered.size(); ++i) {
      ++all[there[i]];
      hits[there[i]] += covered[i] ? 1 : 0;
    }
    ASSERT_EQ(all.size(), 3U);
    double total = 0;
    for (const auto& [count, rows] : all) {
      total += hits[count];
      expect_coverage(hits[count] / static_cast<double>(rows), own[count], rows);
    }
    expect_coverage(total / 2000, 1000, 2000);
  }
}

TEST(FusionEnsemble, UnknownLabelsAreNotCalibratedBy) {
  const fusion::PreparedData data = samples_of(TargetKind::multilabel, 150);
  Trial all(data, 1), known(data, 1);
  const auto rows = range(0, 150);
  std::vector<std::int64_t> with_first;
  for (const std::int64_t row : rows)
    if (std::isfinite(data.target.values[static_cast<std::size_t>(2 * row)])) with_first.push_back(row);
  ASSERT_LT(with_first.size(), 145U);
  all.ensemble.calibrate(all.samples, rows, 0.9, 0);
  known.ensemble.calibrate(known.samples, with_first, 0.9, 0);
  const Json a = all.ensemble.calibration_json(), b = known.ensemble.calibration_json();
  EXPECT_EQ(a["parameters"][0], b["parameters"][0]);
  EXPECT_EQ(a["thresholds"][0], b["thresholds"][0]);
  EXPECT_NE(a["parameters"][1], b["parameters"][1]) << "rows made no difference: nothing was tested";
  EXPECT_TRUE(a["conformal"].empty());
  EXPECT_THROW(all.ensemble.sets(all.ensemble.predict(all.samples, rows), modalities_there(all.samples, rows)),
               std::invalid_argument);
}

// One class only on the validation samples, or a label of which nothing is known: still numbers.
TEST(FusionEnsemble, CalibratesOnWhatIsThere) {
  fusion::PreparedData one = samples_of(TargetKind::binary, 40), none = samples_of(TargetKind::multilabel, 40),
                       two = samples_of(TargetKind::multiclass, 40);
  for (float& v : one.target.values) v = 0;
  for (std::size_t i = 0; i < 40; ++i) none.target.values[2 * i] = std::numeric_limits<float>::quiet_NaN();
  for (float& v : two.target.values) v = v > 1 ? 1 : v;
  for (const fusion::PreparedData& data : {one, none, two}) {
    Trial trial(data, 2);
    trial.ensemble.calibrate(trial.samples, range(0, 30), 0.8, 0);
    const FusionPrediction found = copy_through_json(trial).predict(trial.samples, range(30, 40));
    EXPECT_TRUE(found.mean.allFinite());
    EXPECT_GE(found.mean.minCoeff(), 0);
    EXPECT_LE(found.mean.maxCoeff(), 1);
  }
}

TEST(FusionEnsemble, AbstainsBelowTheLargestCoverageOfTheRisk) {
  const auto rows = range(0, 300);
  // Outcomes that the model gets right the more often the surer it is.
  fusion::PreparedData data = samples_of(TargetKind::binary, 300);
  const Trial before(data, 2);
  const Vector raw_p = before.ensemble.predict(before.samples, rows).mean.col(0);
  RandomStream random(4);
  const double spread = (raw_p.array() - raw_p.mean()).abs().maxCoeff();
  for (std::size_t i = 0; i < 300; ++i) {
    const double lean = (raw_p(static_cast<Eigen::Index>(i)) - raw_p.mean()) / spread;
    data.target.values[i] = random.uniform() < 0.5 + 0.45 * lean ? 1 : 0;
  }
  Trial trial(data, 2);
  const double risk = 0.2;
  trial.ensemble.calibrate(trial.samples, rows, 0.9, risk);
  const Vector p = trial.ensemble.predict(trial.samples, rows).mean.col(0);
  const Vector y = trial.ensemble.targets(trial.samples, rows).col(0);
  // Every threshold by brute force.
  Eigen::Index most = 0;
  const auto answered = [&](double threshold, double& wrong) {
    Eigen::Index count = 0;
    wrong = 0;
    for (Eigen::Index i = 0; i < p.size(); ++i) {
      if (std::max(p(i), 1 - p(i)) < threshold) continue;
      ++count;
      wrong += (p(i) > 0.5) != (y(i) == 1) ? 1 : 0;
    }
    return count;
  };
  double wrong = 0;
  for (Eigen::Index i = 0; i < p.size(); ++i) {
    const Eigen::Index count = answered(std::max(p(i), 1 - p(i)), wrong);
    if (wrong <= risk * static_cast<double>(count)) most = std::max(most, count);
  }
  ASSERT_GT(most, 0);
  ASSERT_LT(most, 300) << "nothing has to abstain";
  EXPECT_EQ(answered(trial.ensemble.abstain_below(), wrong), most);
  EXPECT_LE(wrong, risk * static_cast<double>(most));

  // Every answer wrong: nothing is sure enough.
  Trial hopeless(samples_of(TargetKind::multiclass, 60), 1);
  const std::vector<int> best = top_class(hopeless.ensemble.predict(hopeless.samples, range(0, 60)).mean);
  fusion::PreparedData wrong_classes = hopeless.data;
  for (std::size_t i = 0; i < 60; ++i) wrong_classes.target.values[i] = static_cast<float>((best[i] + 1) % 3);
  Trial never(wrong_classes, 1);
  never.ensemble.calibrate(never.samples, range(0, 60), 0.9, 0.01);
  EXPECT_GT(never.ensemble.abstain_below(), 1);
  EXPECT_FALSE(never.ensemble.notes().empty());
}

TEST(FusionEnsemble, RefusesInWords) {
  Trial trial(samples_of(TargetKind::binary, 10), 1);
  const FusionEnsemble none(small_model(), trial.samples.shapes(), trial.data.target);
  const auto said = [](auto&& call) { return testing_io::message_of(call); };
  EXPECT_EQ(said([&] { none.predict(trial.samples, {1}); }), "there is no trained model to predict with");
  EXPECT_EQ(said([&] { trial.ensemble.predict(trial.samples, {}); }), "there are no samples to predict");
  Json json = trial.ensemble.calibration_json();
  json["thresholds"] = {0.5, 0.5};
  EXPECT_EQ(said([&] { trial.ensemble.load_calibration(json, "model.json"); }),
            "model.json: thresholds: must be one number per output, 1, or none");
  json["thresholds"] = Json::array();
  json["parameters"] = Json::array({1, 2});
  EXPECT_EQ(said([&] { trial.ensemble.load_calibration(json, "model.json"); }),
            "model.json: parameters: must be one pair per output, 1");
}

}  // namespace
}  // namespace clearway::train
