#include "clearway/core/class_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "score_checks.hpp"

namespace clearway {

using Eigen::Index;

namespace {

void check_labels(const char* what, const ConstMatrixRef& score, const ConstMatrixRef& target) {
  detail::check_lengths(what, score.rows(), target.rows());
  if (score.cols() != target.cols())
    user_error("{}: predictions of {} labels but targets of {}", what, score.cols(), target.cols());
  if (score.cols() == 0) user_error("{}: there are no labels", what);
  detail::check_numbers(what, "prediction", score);
  detail::check_binary(what, target);
}

void check_class_probabilities(const char* what, const ConstMatrixRef& probability, std::span<const int> classes) {
  detail::check_classes(what, classes, probability.rows(), probability.cols());
  detail::check_distributions(what, probability);
}

template <class Score>
LabelScores per_label(const char* what, const ConstMatrixRef& score, const ConstMatrixRef& target, Score&& of_label) {
  check_labels(what, score, target);
  LabelScores out;
  double sum = 0;
  for (Index j = 0; j < score.cols(); ++j) {
    out.per_label.push_back(of_label(score.col(j), target.col(j)));
    if (out.per_label.back())
      sum += *out.per_label.back();
    else
      ++out.left_out;
  }
  const int counted = static_cast<int>(score.cols()) - out.left_out;
  if (counted > 0) out.macro = sum / counted;
  return out;
}

Vector flattened(const ConstMatrixRef& values) {
  return values.reshaped();
}

}  // namespace

Matrix one_hot(std::span<const int> classes, int count) {
  detail::check_classes("classes", classes, static_cast<Index>(classes.size()), count);
  Matrix out = Matrix::Zero(static_cast<Index>(classes.size()), count);
  for (Index i = 0; i < out.rows(); ++i) out(i, classes[static_cast<std::size_t>(i)]) = 1;
  return out;
}

LabelScores label_auroc(const ConstMatrixRef& score, const ConstMatrixRef& target) {
  return per_label("AUROC", score, target, auroc);
}

LabelScores label_average_precision(const ConstMatrixRef& score, const ConstMatrixRef& target) {
  return per_label("average precision", score, target, average_precision);
}

std::optional<double> micro_auroc(const ConstMatrixRef& score, const ConstMatrixRef& target) {
  check_labels("AUROC", score, target);
  return auroc(flattened(score), flattened(target));
}

std::optional<double> micro_average_precision(const ConstMatrixRef& score, const ConstMatrixRef& target) {
  check_labels("average precision", score, target);
  return average_precision(flattened(score), flattened(target));
}

Matrix at_thresholds(const ConstMatrixRef& score, const ConstVectorRef& thresholds) {
  if (thresholds.size() != score.cols())
    user_error("thresholds: {} of them for {} labels", thresholds.size(), score.cols());
  detail::check_numbers("thresholds", "prediction", score);
  Matrix out(score.rows(), score.cols());
  for (Index j = 0; j < score.cols(); ++j) out.col(j) = (score.col(j).array() >= thresholds(j)).cast<double>();
  return out;
}

LabelF1 label_f1(const ConstMatrixRef& predicted, const ConstMatrixRef& target) {
  check_labels("F1", predicted, target);
  detail::check_binary("F1 of predictions", predicted);
  const Vector both = predicted.cwiseProduct(target).colwise().sum();
  const Vector called = predicted.colwise().sum(), events = target.colwise().sum();
  const auto ratio = [](double twice, double sum) { return sum > 0 ? twice / sum : 0.0; };
  LabelF1 out;
  out.per_label.resize(predicted.cols());
  for (Index j = 0; j < predicted.cols(); ++j) out.per_label(j) = ratio(2 * both(j), called(j) + events(j));
  out.macro = out.per_label.mean();
  out.micro = ratio(2 * both.sum(), called.sum() + events.sum());
  out.weighted = ratio(out.per_label.dot(events), events.sum());
  return out;
}

double subset_accuracy(const ConstMatrixRef& predicted, const ConstMatrixRef& target) {
  check_labels("accuracy", predicted, target);
  const auto wrong = (predicted.array() != target.array()).cast<double>().rowwise().sum();
  return (wrong == 0).cast<double>().mean();
}

std::vector<int> top_class(const ConstMatrixRef& score) {
  if (score.cols() == 0) user_error("top class: there are no classes");
  detail::check_numbers("top class", "prediction", score);
  std::vector<int> out(static_cast<std::size_t>(score.rows()));
  for (Index i = 0; i < score.rows(); ++i) {
    Index best = 0;
    for (Index j = 1; j < score.cols(); ++j)
      if (score(i, j) > score(i, best)) best = j;
    out[static_cast<std::size_t>(i)] = static_cast<int>(best);
  }
  return out;
}

double accuracy(const ConstMatrixRef& score, std::span<const int> classes) {
  detail::check_classes("accuracy", classes, score.rows(), score.cols());
  const std::vector<int> top = top_class(score);
  double right = 0;
  for (std::size_t i = 0; i < top.size(); ++i) right += top[i] == classes[i];
  return right / static_cast<double>(top.size());
}

double multiclass_log_loss(const ConstMatrixRef& probability, std::span<const int> classes) {
  check_class_probabilities("log-loss", probability, classes);
  constexpr double kLeast = std::numeric_limits<double>::epsilon();
  double sum = 0;
  for (Index i = 0; i < probability.rows(); ++i)
    sum -= std::log(std::clamp(probability(i, classes[static_cast<std::size_t>(i)]), kLeast, 1 - kLeast));
  return sum / static_cast<double>(probability.rows());
}

double multiclass_brier(const ConstMatrixRef& probability, std::span<const int> classes) {
  check_class_probabilities("Brier score", probability, classes);
  return (probability - one_hot(classes, static_cast<int>(probability.cols()))).rowwise().squaredNorm().mean();
}

CalibrationError top_class_calibration_error(const ConstMatrixRef& probability, std::span<const int> classes,
                                             int bins) {
  check_class_probabilities("calibration error", probability, classes);
  const std::vector<int> top = top_class(probability);
  Vector confidence(probability.rows()), right(probability.rows());
  for (Index i = 0; i < probability.rows(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    confidence(i) = probability(i, top[row]);
    right(i) = top[row] == classes[row];
  }
  return expected_calibration_error(confidence, right, bins);
}

}  // namespace clearway
