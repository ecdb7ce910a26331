#include "clearway/core/conformal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "clearway/base/errors.hpp"
#include "clearway/core/order_statistics.hpp"
#include "score_checks.hpp"

namespace clearway {

using Eigen::Index;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_quantiles(const ConstVectorRef& q, Index rows) {
  if (q.size() != rows && q.size() != 1) user_error("conformal: {} quantiles for {} rows", q.size(), rows);
  detail::check_numbers("conformal", "quantile", q);
}

double of_row(const ConstVectorRef& q, Index row) {
  return q(q.size() == 1 ? 0 : row);
}

}  // namespace

double conformal_quantile(const ConstVectorRef& scores, double alpha) {
  if (!(alpha > 0 && alpha < 1)) user_error("conformal: alpha must lie between 0 and 1, not {}", alpha);
  detail::check_numbers("conformal", "score", scores);
  const double n = static_cast<double>(scores.size());
  // (n + 1)(1 - alpha) that is a whole number stays one: 1 - 0.1 is not 0.9 to the last digit.
  const double rank = std::max(1.0, std::ceil((n + 1) * (1 - alpha) - 1e-9));
  if (rank > n) return kInfinity;
  std::vector<double> sorted(scores.begin(), scores.end());
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

double ConformalQuantiles::of_group(int group) const {
  const auto found = by_group.find(group);
  return found == by_group.end() ? pooled : found->second;
}

Vector ConformalQuantiles::of_rows(std::span<const int> groups) const {
  Vector out(static_cast<Index>(groups.size()));
  for (Index i = 0; i < out.size(); ++i) out(i) = of_group(groups[static_cast<std::size_t>(i)]);
  return out;
}

ConformalQuantiles fit_conformal(const ConstVectorRef& scores, double alpha, std::span<const int> groups) {
  if (!groups.empty() && static_cast<Index>(groups.size()) != scores.size())
    user_error("conformal: {} groups for {} rows", groups.size(), scores.size());
  ConformalQuantiles out;
  out.alpha = alpha;
  out.rows = scores.size();
  out.pooled = conformal_quantile(scores, alpha);
  if (out.pooled == kInfinity)
    out.note = fmt::format(
        "{} calibration rows are too few for alpha {:.4g}: every set holds all classes, every interval "
        "is infinite",
        scores.size(), alpha);
  std::map<int, std::vector<double>> members;
  for (std::size_t i = 0; i < groups.size(); ++i) members[groups[i]].push_back(scores(static_cast<Index>(i)));
  for (const auto& [group, values] : members) {
    const Index count = static_cast<Index>(values.size());
    const double q = conformal_quantile(Eigen::Map<const Vector>(values.data(), count), alpha);
    if (q < kInfinity) {
      out.by_group[group] = q;
      continue;
    }
    out.too_few[group] = count;
    out.note +=
        fmt::format("{}group {} has {} calibration rows, too few for alpha {:.4g}: it uses the quantile of all rows",
                    out.note.empty() ? "" : "; ", group, count, alpha);
  }
  return out;
}

Matrix class_conformity(ClassScore kind, const ConstMatrixRef& probability) {
  detail::check_distributions("conformal", probability);
  if (kind == ClassScore::lac) return 1 - probability.array();
  Matrix out(probability.rows(), probability.cols());
  std::vector<Index> order(static_cast<std::size_t>(probability.cols()));
  for (Index i = 0; i < probability.rows(); ++i) {
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return probability(i, a) > probability(i, b); });
    double sum = 0;
    for (const Index c : order) out(i, c) = sum += probability(i, c);
  }
  return out;
}

Vector scores_of_classes(const ConstMatrixRef& conformity, std::span<const int> classes) {
  detail::check_classes("conformal", classes, conformity.rows(), conformity.cols());
  Vector out(conformity.rows());
  for (Index i = 0; i < out.size(); ++i) out(i) = conformity(i, classes[static_cast<std::size_t>(i)]);
  return out;
}

Flags prediction_sets(const ConstMatrixRef& conformity, const ConstVectorRef& q) {
  check_quantiles(q, conformity.rows());
  detail::check_numbers("conformal", "score", conformity);
  Flags sets(conformity.rows(), conformity.cols());
  for (Index i = 0; i < sets.rows(); ++i) sets.row(i) = conformity.row(i).array() <= of_row(q, i);
  return sets;
}

Flags covered_classes(const Flags& sets, std::span<const int> classes) {
  detail::check_classes("conformal", classes, sets.rows(), sets.cols());
  Flags out(sets.rows(), 1);
  for (Index i = 0; i < sets.rows(); ++i) out(i, 0) = sets(i, classes[static_cast<std::size_t>(i)]);
  return out;
}

SetScores set_scores(const Flags& sets, std::span<const int> classes) {
  const Flags covered = covered_classes(sets, classes);
  const auto sizes = sets.cast<double>().rowwise().sum().eval();
  const double n = static_cast<double>(sets.rows()), inside = static_cast<double>(covered.count());
  SetScores out;
  out.coverage = inside / n;
  std::tie(out.low, out.high) = wilson_interval(inside, n);
  out.mean_size = sizes.mean();
  out.empty = (sizes == 0).cast<double>().mean();
  out.single = (sizes == 1).cast<double>().mean();
  return out;
}

Vector residual_scores(const ConstVectorRef& mean, const ConstVectorRef& target) {
  return residual_scores(mean, target, Vector::Ones(mean.size()));
}

Vector residual_scores(const ConstVectorRef& mean, const ConstVectorRef& target, const ConstVectorRef& deviation) {
  detail::check_lengths("conformal", mean.size(), target.size());
  detail::check_lengths("conformal", deviation.size(), target.size());
  detail::check_finite("conformal", "prediction", mean);
  detail::check_finite("conformal", "target", target);
  detail::check_deviations("conformal", deviation);
  return (target - mean).array().abs() / deviation.array();
}

PredictionIntervals conformal_intervals(const ConstVectorRef& mean, const ConstVectorRef& q) {
  return conformal_intervals(mean, q, Vector::Ones(mean.size()));
}

PredictionIntervals conformal_intervals(const ConstVectorRef& mean, const ConstVectorRef& q,
                                        const ConstVectorRef& deviation) {
  check_quantiles(q, mean.size());
  detail::check_lengths("conformal", deviation.size(), mean.size());
  detail::check_finite("conformal", "prediction", mean);
  detail::check_deviations("conformal", deviation);
  PredictionIntervals out{mean, mean};
  for (Index i = 0; i < mean.size(); ++i) {
    out.low(i) -= of_row(q, i) * deviation(i);
    out.high(i) += of_row(q, i) * deviation(i);
  }
  return out;
}

std::vector<GroupCoverage> coverage_by_group(const Flags& covered, std::span<const int> groups) {
  if (covered.cols() != 1 || covered.rows() != static_cast<Index>(groups.size()))
    user_error("coverage: {} x {} flags for {} groups", covered.rows(), covered.cols(), groups.size());
  std::map<int, std::pair<Index, Index>> counts;  // rows and covered ones
  for (std::size_t i = 0; i < groups.size(); ++i) {
    auto& [rows, inside] = counts[groups[i]];
    ++rows;
    inside += covered(static_cast<Index>(i), 0);
  }
  std::vector<GroupCoverage> out;
  for (const auto& [group, count] : counts) {
    const double rows = static_cast<double>(count.first), inside = static_cast<double>(count.second);
    const auto [low, high] = wilson_interval(inside, rows);
    out.push_back({group, count.first, inside / rows, low, high});
  }
  return out;
}

}  // namespace clearway
