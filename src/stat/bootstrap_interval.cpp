#include "clearway/stat/bootstrap_interval.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/core/order_statistics.hpp"

namespace clearway {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal(), probability);
}

double normal_probability(double z) {
  return boost::math::cdf(boost::math::normal(), z);
}

Interval bca_interval(double tail, double estimate, const std::vector<double>& sorted, double acceleration) {
  const auto [from, to] = std::equal_range(sorted.begin(), sorted.end(), estimate);
  const double count = static_cast<double>(sorted.size());
  const double below = static_cast<double>(from - sorted.begin()) + 0.5 * static_cast<double>(to - from);
  // All replications on one side say "far", not "infinitely far".
  const double bias = normal_quantile(std::clamp(below / count, 0.5 / count, 1 - 0.5 / count));
  const auto corrected = [&](double probability) {
    const double z = bias + normal_quantile(probability);
    return order_quantile(sorted, normal_probability(bias + z / (1 - acceleration * z)));
  };
  return {corrected(tail), corrected(1 - tail)};
}

}  // namespace

Interval bootstrap_interval(IntervalKind kind, double level, double estimate, std::vector<double> replications,
                            double acceleration) {
  if (!(level > 0 && level < 1)) user_error("level must lie between 0 and 1, not {}", level);
  if (replications.size() < 2 || !std::isfinite(estimate)) return {kUnknown, kUnknown};
  std::sort(replications.begin(), replications.end());
  const double tail = (1 - level) / 2;
  const Interval percentile{order_quantile(replications, tail), order_quantile(replications, 1 - tail)};
  switch (kind) {
    case IntervalKind::percentile:
      return percentile;
    case IntervalKind::basic:
      return {2 * estimate - percentile.high, 2 * estimate - percentile.low};
    case IntervalKind::bca:
      return bca_interval(tail, estimate, replications, acceleration);
    case IntervalKind::normal: {
      const double count = static_cast<double>(replications.size());
      const double mean = std::accumulate(replications.begin(), replications.end(), 0.0) / count;
      double squares = 0;
      for (const double value : replications) squares += (value - mean) * (value - mean);
      const double half = normal_quantile(1 - tail) * std::sqrt(squares / (count - 1));
      return {2 * estimate - mean - half, 2 * estimate - mean + half};
    }
  }
  return percentile;
}

double bca_acceleration(std::span<const double> influence) {
  double squares = 0, cubes = 0;
  for (const double value : influence) {
    squares += value * value;
    cubes += value * value * value;
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0.0;
}

}  // namespace clearway
