#include "clearway/core/binary_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "clearway/base/errors.hpp"
#include "clearway/core/order_statistics.hpp"
#include "score_checks.hpp"

namespace clearway {

using detail::check_binary;
using detail::check_lengths;
using detail::check_numbers;
using detail::check_probabilities;
using Eigen::Index;

namespace {

constexpr double kLeast = std::numeric_limits<double>::epsilon();  // probabilities in logarithms

void check_event_probabilities(const char* what, const ConstVectorRef& probability, const ConstVectorRef& target) {
  check_lengths(what, probability.size(), target.size());
  check_probabilities(what, probability);
  check_binary(what, target);
}

/// Rows from the highest value down.
std::vector<std::size_t> falling_order(const ConstVectorRef& value) {
  std::vector<std::size_t> order(static_cast<std::size_t>(value.size()));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double x = value(static_cast<Index>(a)), y = value(static_cast<Index>(b));
    return x != y ? x > y : a < b;
  });
  return order;
}

double f1_of(double true_positives, double false_positives, double events) {
  const double sum = true_positives + false_positives + events;  // 2 TP + FP + FN
  return sum > 0 ? 2 * true_positives / sum : 0.0;
}

}  // namespace

RankedScores::RankedScores(const ConstVectorRef& score, const ConstVectorRef& target) {
  check_lengths("ranking", score.size(), target.size());
  check_numbers("ranking", "prediction", score);
  check_binary("ranking", target);
  order_ = falling_order(score);
  score_.reserve(order_.size());
  event_.reserve(order_.size());
  for (const std::size_t row : order_) {
    score_.push_back(score(static_cast<Index>(row)));
    event_.push_back(target(static_cast<Index>(row)) > 0);
  }
}

void RankedScores::check_weights(std::span<const double> weights) const {
  if (!weights.empty() && weights.size() != order_.size())
    user_error("ranking: {} weights for {} rows", weights.size(), order_.size());
}

std::optional<double> RankedScores::auroc(std::span<const double> weights) const {
  double non_events = 0, events = 0, won = 0;  // pairs that an event wins; half of those that are even
  each_threshold(weights, [&](double, double without, double with) {
    won += without * (events + 0.5 * with);
    non_events += without;
    events += with;
  });
  if (non_events <= 0 || events <= 0) return std::nullopt;
  return won / (non_events * events);
}

std::optional<double> RankedScores::average_precision(std::span<const double> weights) const {
  double called = 0, events = 0, sum = 0;
  each_threshold(weights, [&](double, double without, double with) {
    called += without + with;
    events += with;
    if (with > 0) sum += with * events / called;
  });
  if (events <= 0) return std::nullopt;
  return sum / events;
}

std::optional<double> auroc(const ConstVectorRef& score, const ConstVectorRef& target) {
  return RankedScores(score, target).auroc();
}

std::optional<double> average_precision(const ConstVectorRef& score, const ConstVectorRef& target) {
  return RankedScores(score, target).average_precision();
}

Vector brier_terms(const ConstVectorRef& probability, const ConstVectorRef& target) {
  check_event_probabilities("Brier score", probability, target);
  return (probability - target).array().square();
}

Vector log_loss_terms(const ConstVectorRef& probability, const ConstVectorRef& target) {
  check_event_probabilities("log-loss", probability, target);
  return probability.binaryExpr(target, [](double p, double y) {
    const double held = std::clamp(p, kLeast, 1 - kLeast);
    return y > 0 ? -std::log(held) : -std::log1p(-held);
  });
}

double brier(const ConstVectorRef& probability, const ConstVectorRef& target) {
  return brier_terms(probability, target).mean();
}

double log_loss(const ConstVectorRef& probability, const ConstVectorRef& target) {
  return log_loss_terms(probability, target).mean();
}

CalibrationError expected_calibration_error(const ConstVectorRef& probability, const ConstVectorRef& target, int bins) {
  check_event_probabilities("calibration error", probability, target);
  if (bins < 1) user_error("calibration error: bins must be at least 1, not {}", bins);
  std::vector<std::size_t> order = falling_order(probability);
  std::reverse(order.begin(), order.end());
  const double n = static_cast<double>(order.size());
  std::vector<ReliabilityBin> all(static_cast<std::size_t>(bins));  // sums first, then means
  const auto at = [&](std::size_t i) { return static_cast<Index>(order[i]); };
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    double events = 0;
    while (last < order.size() && probability(at(last)) == probability(at(first))) events += target(at(last++));
    const double middle = 0.5 * static_cast<double>(first + last);
    ReliabilityBin& bin = all[std::min(all.size() - 1, static_cast<std::size_t>(bins * middle / n))];
    bin.count += static_cast<Index>(last - first);
    bin.mean_predicted += static_cast<double>(last - first) * probability(at(first));
    bin.observed_rate += events;
    first = last;
  }
  CalibrationError out;
  for (ReliabilityBin& bin : all) {
    if (bin.count == 0) continue;
    const double count = static_cast<double>(bin.count);
    std::tie(bin.low, bin.high) = wilson_interval(bin.observed_rate, count);
    out.error += std::abs(bin.mean_predicted - bin.observed_rate) / n;
    bin.mean_predicted /= count;
    bin.observed_rate /= count;
    out.bins.push_back(bin);
  }
  return out;
}

double f1(const ConstVectorRef& score, const ConstVectorRef& target, double threshold) {
  check_lengths("F1", score.size(), target.size());
  check_numbers("F1", "prediction", score);
  check_binary("F1", target);
  double true_positives = 0, called = 0;
  for (Index i = 0; i < score.size(); ++i)
    if (score(i) >= threshold) {
      called += 1;
      true_positives += target(i);
    }
  return f1_of(true_positives, called - true_positives, target.sum());
}

ChosenThreshold best_f1_threshold(const ConstVectorRef& score, const ConstVectorRef& target) {
  const RankedScores ranked(score, target);
  const double events = target.sum();
  double best = -1, upper = 0, lower = 0, true_positives = 0, false_positives = 0;
  bool wants_lower = false;
  ranked.each_threshold({}, [&](double threshold, double without, double with) {
    if (wants_lower) lower = threshold;
    wants_lower = false;
    true_positives += with;
    false_positives += without;
    const double value = f1_of(true_positives, false_positives, events);
    if (value <= best) return;
    best = value;
    upper = lower = threshold;
    wants_lower = true;  // the next score down, if there is one
  });
  if (events == 0) return {upper, 0};
  const double middle = upper == lower ? upper : lower + 0.5 * (upper - lower);
  return {middle > lower && middle <= upper ? middle : upper, best};  // neighbours have no number in between
}

std::vector<RocPoint> roc_curve(const ConstVectorRef& score, const ConstVectorRef& target) {
  const RankedScores ranked(score, target);
  const double events = target.sum(), non_events = static_cast<double>(target.size()) - events;
  if (events == 0 || non_events == 0)
    user_error("ROC curve: both classes must be there; all {} targets are {}", target.size(), events == 0 ? 0 : 1);
  std::vector<RocPoint> curve{{0, 0, std::numeric_limits<double>::infinity()}};
  double false_positives = 0, true_positives = 0;
  ranked.each_threshold({}, [&](double threshold, double without, double with) {
    false_positives += without;
    true_positives += with;
    curve.push_back({false_positives / non_events, true_positives / events, threshold});
  });
  return curve;
}

std::vector<PrecisionRecallPoint> precision_recall_curve(const ConstVectorRef& score, const ConstVectorRef& target) {
  const RankedScores ranked(score, target);
  const double events = target.sum();
  if (events == 0) user_error("precision-recall curve: none of the {} targets is 1", target.size());
  std::vector<PrecisionRecallPoint> curve;
  double called = 0, true_positives = 0;
  ranked.each_threshold({}, [&](double threshold, double without, double with) {
    called += without + with;
    true_positives += with;
    curve.push_back({true_positives / events, true_positives / called, threshold});
  });
  return curve;
}

}  // namespace clearway
