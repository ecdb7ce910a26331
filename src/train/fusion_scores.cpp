#include "clearway/train/fusion_scores.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "clearway/base/errors.hpp"
#include "clearway/core/prediction_scores.hpp"

namespace clearway::train {
namespace {

using fusion::TargetKind;
using Rows = std::span<const Eigen::Index>;

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

Vector picked(const ConstVectorRef& from, Rows rows) {
  Vector out(static_cast<Eigen::Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) out(static_cast<Eigen::Index>(i)) = from(rows[i]);
  return out;
}
Matrix picked_rows(const Matrix& from, Rows rows) {
  Matrix out(static_cast<Eigen::Index>(rows.size()), from.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) out.row(static_cast<Eigen::Index>(i)) = from.row(rows[i]);
  return out;
}

/// What all scores of one prediction look at.
struct Both {
  Matrix prediction, deviation, target;
  std::vector<int> classes;
};
using Shared = std::shared_ptr<const Both>;

std::vector<int> picked_classes(const Both& both, Rows rows) {
  std::vector<int> out;
  out.reserve(rows.size());
  for (const Eigen::Index row : rows) out.push_back(both.classes[static_cast<std::size_t>(row)]);
  return out;
}

/// A score of rows as a weighted score.
template <class Score>
FusionScore of_rows(std::string name, bool larger, const Shared& both, Score&& score) {
  return {std::move(name), larger, score_of_rows([both, score = std::forward<Score>(score)](Rows rows) -> double {
            return score(*both, rows);
          })};
}

/// The mean over outputs of a score of one column, on the rows where its target is known; NaN where no output has one.
template <class Score>
double mean_over_outputs(const Both& both, Rows rows, Score&& score) {
  double sum = 0;
  int count = 0;
  for (Eigen::Index j = 0; j < both.target.cols(); ++j) {
    std::vector<Eigen::Index> known;
    known.reserve(rows.size());
    for (const Eigen::Index row : rows)
      if (std::isfinite(both.target(row, j))) known.push_back(row);
    if (known.empty()) continue;
    const double value = score(j, Rows(known));
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : kUndefined;
}

void add_binary(std::vector<FusionScore>& out, const Shared& both, const FusionThresholds& thresholds) {
  const Vector p = both->prediction.col(0), y = both->target.col(0);
  out.push_back({"auroc", true, weighted_auroc(p, y)});
  out.push_back({"average_precision", true, weighted_average_precision(p, y)});
  out.push_back({"brier", false, weighted_mean(brier_terms(p, y))});
  out.push_back({"log_loss", false, weighted_mean(log_loss_terms(p, y))});
  out.push_back(of_rows("ece", false, both, [](const Both& b, Rows rows) {
    return expected_calibration_error(picked(b.prediction.col(0), rows), picked(b.target.col(0), rows)).error;
  }));
  const auto f1_at = [&](std::string name, double threshold) {
    out.push_back(of_rows(std::move(name), true, both, [threshold](const Both& b, Rows rows) {
      return f1(picked(b.prediction.col(0), rows), picked(b.target.col(0), rows), threshold);
    }));
  };
  out.push_back({"accuracy", true, weighted_mean(((p.array() >= 0.5) == (y.array() >= 0.5)).cast<double>().matrix())});
  f1_at("f1", 0.5);
  if (thresholds.size() > 0) f1_at("f1_chosen", thresholds(0));
}

void add_classes(std::vector<FusionScore>& out, const Shared& both) {
  const auto n = static_cast<Eigen::Index>(both->classes.size());
  const std::vector<int> best = top_class(both->prediction);
  Vector right(n);
  for (Eigen::Index i = 0; i < n; ++i)
    right(i) = best[static_cast<std::size_t>(i)] == both->classes[static_cast<std::size_t>(i)] ? 1 : 0;
  out.push_back({"accuracy", true, weighted_mean(right)});
  out.push_back(of_rows("log_loss", false, both, [](const Both& b, Rows rows) {
    return multiclass_log_loss(picked_rows(b.prediction, rows), picked_classes(b, rows));
  }));
  out.push_back(of_rows("brier", false, both, [](const Both& b, Rows rows) {
    return multiclass_brier(picked_rows(b.prediction, rows), picked_classes(b, rows));
  }));
  out.push_back(of_rows("ece", false, both, [](const Both& b, Rows rows) {
    return top_class_calibration_error(picked_rows(b.prediction, rows), picked_classes(b, rows)).error;
  }));
  out.push_back(of_rows("macro_f1", true, both, [](const Both& b, Rows rows) {
    const int count = static_cast<int>(b.prediction.cols());
    return label_f1(one_hot(top_class(picked_rows(b.prediction, rows)), count), one_hot(picked_classes(b, rows), count))
        .macro;
  }));
  out.push_back(of_rows("macro_auroc", true, both, [](const Both& b, Rows rows) {
    const int count = static_cast<int>(b.prediction.cols());
    return label_auroc(picked_rows(b.prediction, rows), one_hot(picked_classes(b, rows), count))
        .macro.value_or(kUndefined);
  }));
}

void add_labels(std::vector<FusionScore>& out, const Shared& both, const FusionThresholds& thresholds) {
  const auto per_label = [&](std::string name, bool larger, auto score) {
    out.push_back(of_rows(std::move(name), larger, both, [score](const Both& b, Rows rows) {
      return mean_over_outputs(b, rows, [&](Eigen::Index j, Rows known) {
        return score(picked(b.prediction.col(j), known), picked(b.target.col(j), known), j);
      });
    }));
  };
  per_label("auroc", true,
            [](const Vector& p, const Vector& y, Eigen::Index) { return auroc(p, y).value_or(kUndefined); });
  per_label("average_precision", true, [](const Vector& p, const Vector& y, Eigen::Index) {
    return average_precision(p, y).value_or(kUndefined);
  });
  per_label("brier", false, [](const Vector& p, const Vector& y, Eigen::Index) { return brier(p, y); });
  per_label("log_loss", false, [](const Vector& p, const Vector& y, Eigen::Index) { return log_loss(p, y); });
  per_label("ece", false,
            [](const Vector& p, const Vector& y, Eigen::Index) { return expected_calibration_error(p, y).error; });
  per_label("macro_f1", true, [](const Vector& p, const Vector& y, Eigen::Index) { return f1(p, y); });
  if (thresholds.size() > 0)
    per_label("macro_f1_chosen", true,
              [thresholds](const Vector& p, const Vector& y, Eigen::Index j) { return f1(p, y, thresholds(j)); });
  const auto together = [&](std::string name, auto score) {
    out.push_back(of_rows(std::move(name), true, both, [score](const Both& b, Rows rows) {
      std::vector<double> p, y;
      for (const Eigen::Index row : rows)
        for (Eigen::Index j = 0; j < b.target.cols(); ++j)
          if (std::isfinite(b.target(row, j))) {
            p.push_back(b.prediction(row, j));
            y.push_back(b.target(row, j));
          }
      if (p.empty()) return kUndefined;
      return score(Eigen::Map<Vector>(p.data(), static_cast<Eigen::Index>(p.size())),
                   Eigen::Map<Vector>(y.data(), static_cast<Eigen::Index>(y.size())));
    }));
  };
  together("micro_auroc",
           [](const ConstVectorRef& p, const ConstVectorRef& y) { return auroc(p, y).value_or(kUndefined); });
  together("micro_f1", [](const ConstVectorRef& p, const ConstVectorRef& y) { return f1(p, y); });
}

void add_numbers(std::vector<FusionScore>& out, const Shared& both) {
  const auto per_output = [&](std::string name, bool larger, auto score) {
    out.push_back(of_rows(std::move(name), larger, both, [score](const Both& b, Rows rows) {
      return mean_over_outputs(b, rows, [&](Eigen::Index j, Rows known) {
        return score(picked(b.prediction.col(j), known), picked(b.deviation.col(j), known),
                     picked(b.target.col(j), known));
      });
    }));
  };
  per_output("correlation", true, [](const Vector& m, const Vector&, const Vector& y) {
    return pearson_correlation(m, y).value_or(kUndefined);
  });
  per_output("mae", false, [](const Vector& m, const Vector&, const Vector& y) { return mean_absolute_error(m, y); });
  per_output("rmse", false,
             [](const Vector& m, const Vector&, const Vector& y) { return root_mean_squared_error(m, y); });
  per_output("r_squared", true,
             [](const Vector& m, const Vector&, const Vector& y) { return r_squared(m, y).value_or(kUndefined); });
  per_output("log_loss", false,
             [](const Vector& m, const Vector& sd, const Vector& y) { return gaussian_log_loss(m, sd, y); });
  // Whether a sign is right says something of outcomes that take both, such as a sentiment.
  if ((both->target.array() < 0).any() && (both->target.array() > 0).any()) {
    per_output("acc2", true, [](const Vector& m, const Vector&, const Vector& y) {
      return sign_scores(m, y).accuracy_without_zeros.value_or(kUndefined);
    });
    per_output("f1_sign", true, [](const Vector& m, const Vector&, const Vector& y) {
      return sign_scores(m, y).f1_without_zeros.value_or(kUndefined);
    });
  }
}

}  // namespace

FusionPrediction FusionPrediction::rows(const std::vector<Eigen::Index>& which) const {
  return {kind, picked_rows(mean, which), picked_rows(deviation, which), picked(disagreement, which)};
}

std::vector<FusionScore> fusion_scores(const FusionPrediction& prediction, const Matrix& target,
                                       const FusionThresholds& thresholds) {
  if (prediction.mean.rows() != target.rows() || target.rows() == 0)
    user_error("{} predictions do not fit {} targets", prediction.mean.rows(), target.rows());
  auto both = std::make_shared<Both>();
  both->prediction = prediction.mean;
  both->deviation = prediction.deviation;
  both->target = target;
  if (prediction.kind == TargetKind::multiclass)
    for (Eigen::Index i = 0; i < target.rows(); ++i) both->classes.push_back(static_cast<int>(target(i, 0)));
  std::vector<FusionScore> out;
  switch (prediction.kind) {
    case TargetKind::binary:
      add_binary(out, both, thresholds);
      break;
    case TargetKind::multiclass:
      add_classes(out, both);
      break;
    case TargetKind::multilabel:
      add_labels(out, both, thresholds);
      break;
    case TargetKind::regression:
      add_numbers(out, both);
      break;
  }
  return out;
}

FusionThresholds choose_thresholds(const FusionPrediction& prediction, const Matrix& target) {
  if (prediction.kind != TargetKind::binary && prediction.kind != TargetKind::multilabel) return {};
  FusionThresholds out(prediction.mean.cols());
  for (Eigen::Index j = 0; j < out.size(); ++j) {
    std::vector<Eigen::Index> known;
    for (Eigen::Index i = 0; i < target.rows(); ++i)
      if (std::isfinite(target(i, j))) known.push_back(i);
    out(j) = known.empty()
                 ? 0.5
                 : best_f1_threshold(picked(prediction.mean.col(j), known), picked(target.col(j), known)).threshold;
  }
  return out;
}

std::string_view leading_score(fusion::TargetKind kind) {
  switch (kind) {
    case TargetKind::binary:
    case TargetKind::multilabel:
      return "auroc";
    case TargetKind::multiclass:
      return "accuracy";
    case TargetKind::regression:
      return "correlation";
  }
  return "loss";
}

}  // namespace clearway::train
