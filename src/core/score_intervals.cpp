#include "clearway/core/score_intervals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "clearway/core/binary_scores.hpp"
#include "clearway/core/order_statistics.hpp"
#include "score_checks.hpp"

namespace clearway {

using Eigen::Index;

namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// Each row's group as 0 .. groups - 1 in the order of the groups' numbers.
struct Groups {
  std::vector<std::size_t> of_row;  ///< empty: every row is its own
  std::size_t count = 0;

  Groups(std::span<const std::int64_t> group, Index rows) : count(static_cast<std::size_t>(rows)) {
    if (group.empty()) return;
    if (static_cast<Index>(group.size()) != rows) user_error("bootstrap: {} groups for {} rows", group.size(), rows);
    std::vector<std::int64_t> names(group.begin(), group.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    count = names.size();
    of_row.reserve(group.size());
    for (const std::int64_t name : group)
      of_row.push_back(static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), name) - names.begin()));
  }

  /// The weights of one resample.
  std::vector<double> draw(RandomStream& stream) const {
    std::vector<double> drawn(count, 0.0);
    for (std::size_t i = 0; i < count; ++i) drawn[stream.index(count)] += 1;
    if (of_row.empty()) return drawn;
    std::vector<double> weights(of_row.size());
    for (std::size_t row = 0; row < weights.size(); ++row) weights[row] = drawn[of_row[row]];
    return weights;
  }
};

void check(const BootstrapOptions& options, Index rows) {
  if (rows < 1) user_error("bootstrap: there are no rows");
  if (options.replications < 2) user_error("bootstrap: replications must be at least 2, not {}", options.replications);
  if (!(options.level > 0 && options.level < 1))
    user_error("bootstrap: level must lie between 0 and 1, not {}", options.level);
}

/// score(weights) of every resample; undefined ones are NaN.
template <class Score>
std::vector<double> replicate(const Score& score, Index rows, const BootstrapOptions& options) {
  const Groups groups(options.group, rows);
  std::vector<double> out(static_cast<std::size_t>(options.replications));
  parallel_for(out.size(), options.threads, [&](std::size_t r) {
    RandomStream stream(options.seed, r);
    out[r] = score(groups.draw(stream));
  });
  return out;
}

/// `replications` keeps those that are defined, sorted.
ScoreInterval interval_of(double estimate, std::vector<double>& replications, double level) {
  ScoreInterval out{.estimate = estimate, .low = kUndefined, .high = kUndefined, .standard_error = kUndefined};
  out.undefined = static_cast<int>(std::erase_if(replications, [](double value) { return std::isnan(value); }));
  std::sort(replications.begin(), replications.end());
  if (replications.size() < 2) return out;
  out.low = order_quantile(replications, (1 - level) / 2);
  out.high = order_quantile(replications, (1 + level) / 2);
  const Eigen::Map<const Vector> values(replications.data(), static_cast<Index>(replications.size()));
  out.standard_error =
      (values.array() - values.mean()).matrix().norm() / std::sqrt(static_cast<double>(values.size() - 1));
  return out;
}

}  // namespace

WeightedScore weighted_auroc(const ConstVectorRef& score, const ConstVectorRef& target) {
  auto ranked = std::make_shared<const RankedScores>(score, target);
  return [ranked](std::span<const double> weights) { return ranked->auroc(weights).value_or(kUndefined); };
}

WeightedScore weighted_average_precision(const ConstVectorRef& score, const ConstVectorRef& target) {
  auto ranked = std::make_shared<const RankedScores>(score, target);
  return [ranked](std::span<const double> weights) { return ranked->average_precision(weights).value_or(kUndefined); };
}

WeightedScore weighted_mean(Vector terms) {
  detail::check_finite("weighted mean", "term", terms);
  return [terms = std::move(terms)](std::span<const double> weights) {
    if (static_cast<Index>(weights.size()) != terms.size())
      user_error("weighted mean: {} weights for {} rows", weights.size(), terms.size());
    const Eigen::Map<const Vector> w(weights.data(), terms.size());
    const double sum = w.sum();
    return sum > 0 ? w.dot(terms) / sum : kUndefined;
  };
}

WeightedScore score_of_rows(std::function<double(std::span<const Index> rows)> score) {
  return [score = std::move(score)](std::span<const double> weights) {
    std::vector<Index> rows;
    rows.reserve(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i)
      rows.insert(rows.end(), static_cast<std::size_t>(weights[i]), static_cast<Index>(i));
    return score(rows);
  };
}

ScoreInterval bootstrap_score(const WeightedScore& score, Index rows, const BootstrapOptions& options) {
  check(options, rows);
  const std::vector<double> once(static_cast<std::size_t>(rows), 1.0);
  std::vector<double> replications = replicate(score, rows, options);
  return interval_of(score(once), replications, options.level);
}

ScoreDifference bootstrap_difference(const WeightedScore& first, const WeightedScore& second, Index rows,
                                     const BootstrapOptions& options) {
  check(options, rows);
  const std::vector<double> once(static_cast<std::size_t>(rows), 1.0);
  std::vector<double> replications =
      replicate([&](std::span<const double> weights) { return first(weights) - second(weights); }, rows, options);
  ScoreDifference out{.first = first(once), .second = second(once)};
  out.difference = interval_of(out.first - out.second, replications, options.level);
  const double defined = static_cast<double>(replications.size());
  if (replications.empty()) {
    out.p_value = kUndefined;
    return out;
  }
  const auto [from, to] = std::equal_range(replications.begin(), replications.end(), 0.0);
  const double at_most = static_cast<double>(to - replications.begin());
  const double at_least = static_cast<double>(replications.end() - from);
  out.p_value = std::min(1.0, 2 * (1 + std::min(at_most, at_least)) / (defined + 1));
  return out;
}

}  // namespace clearway
