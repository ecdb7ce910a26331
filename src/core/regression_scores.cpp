#include "clearway/core/regression_scores.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/core/class_scores.hpp"
#include "clearway/core/order_statistics.hpp"
#include "score_checks.hpp"

namespace clearway {

using Eigen::Index;

namespace {

void check(const char* what, const ConstVectorRef& prediction, const ConstVectorRef& target) {
  detail::check_lengths(what, prediction.size(), target.size());
  detail::check_finite(what, "prediction", prediction);
  detail::check_finite(what, "target", target);
}

bool is_constant(const ConstVectorRef& values) {
  return (values.array() == values(0)).all();
}

/// Accuracy and weighted F1 of two classes, given as 0 and 1.
std::pair<double, double> two_class_scores(const std::vector<int>& predicted, const std::vector<int>& actual) {
  const Matrix p = one_hot(predicted, 2), t = one_hot(actual, 2);
  return {subset_accuracy(p, t), label_f1(p, t).weighted};
}

}  // namespace

double mean_absolute_error(const ConstVectorRef& prediction, const ConstVectorRef& target) {
  check("mean absolute error", prediction, target);
  return (prediction - target).array().abs().mean();
}

double root_mean_squared_error(const ConstVectorRef& prediction, const ConstVectorRef& target) {
  check("root mean squared error", prediction, target);
  return std::sqrt((prediction - target).array().square().mean());
}

std::optional<double> r_squared(const ConstVectorRef& prediction, const ConstVectorRef& target) {
  check("R squared", prediction, target);
  if (is_constant(target)) return std::nullopt;
  return 1 - (target - prediction).squaredNorm() / (target.array() - target.mean()).matrix().squaredNorm();
}

std::optional<double> pearson_correlation(const ConstVectorRef& prediction, const ConstVectorRef& target) {
  check("correlation", prediction, target);
  if (is_constant(target) || is_constant(prediction)) return std::nullopt;
  const Vector p = (prediction.array() - prediction.mean()).matrix().stableNormalized();
  const Vector t = (target.array() - target.mean()).matrix().stableNormalized();
  return std::clamp(p.dot(t), -1.0, 1.0);
}

SignScores sign_scores(const ConstVectorRef& prediction, const ConstVectorRef& target) {
  check("sign", prediction, target);
  std::vector<int> predicted, actual, predicted_positive, actual_positive;
  for (Index i = 0; i < target.size(); ++i) {
    predicted.push_back(prediction(i) >= 0);
    actual.push_back(target(i) >= 0);
    if (target(i) == 0) continue;
    predicted_positive.push_back(prediction(i) > 0);
    actual_positive.push_back(target(i) > 0);
  }
  SignScores out;
  std::tie(out.accuracy_with_zeros, out.f1_with_zeros) = two_class_scores(predicted, actual);
  if (!actual_positive.empty())
    std::tie(out.accuracy_without_zeros, out.f1_without_zeros) = two_class_scores(predicted_positive, actual_positive);
  out.zeros = target.size() - static_cast<Index>(actual_positive.size());
  return out;
}

IntervalScores interval_scores(const ConstVectorRef& low, const ConstVectorRef& high, const ConstVectorRef& target) {
  detail::check_lengths("intervals", low.size(), target.size());
  detail::check_lengths("intervals", high.size(), target.size());
  detail::check_numbers("intervals", "lower end", low);
  detail::check_numbers("intervals", "upper end", high);
  detail::check_finite("intervals", "target", target);
  for (Index i = 0; i < low.size(); ++i)
    if (low(i) > high(i)) user_error("intervals: row {} ends at {}, below its start {}", i, high(i), low(i));
  const double inside = (low.array() <= target.array() && target.array() <= high.array()).cast<double>().sum();
  const double n = static_cast<double>(target.size());
  IntervalScores out;
  out.coverage = inside / n;
  std::tie(out.low, out.high) = wilson_interval(inside, n);
  out.mean_width = (high - low).mean();
  return out;
}

double gaussian_log_loss(const ConstVectorRef& mean, const ConstVectorRef& deviation, const ConstVectorRef& target) {
  check("Gaussian log-loss", mean, target);
  detail::check_lengths("Gaussian log-loss", deviation.size(), target.size());
  detail::check_deviations("Gaussian log-loss", deviation);
  constexpr double kHalfLogTwoPi = 0.91893853320467274178;
  const auto standardised = (target - mean).array() / deviation.array();
  return kHalfLogTwoPi + (deviation.array().log() + 0.5 * standardised.square()).mean();
}

}  // namespace clearway
