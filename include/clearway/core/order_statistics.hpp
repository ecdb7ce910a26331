// Small summaries that several floors need: a quantile of replications, and an interval of a proportion.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace clearway {

/// The order statistic at (R + 1) p of R sorted values, interpolated, held within the smallest and the largest
/// (Davison and Hinkley 1997, eq. 2.11). `sorted` is not empty.
inline double order_quantile(const std::vector<double>& sorted, double probability) {
  const double position = probability * (static_cast<double>(sorted.size()) + 1) - 1;
  if (position <= 0) return sorted.front();
  const auto below = static_cast<std::size_t>(position);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

/// 95 % interval of a proportion (Wilson 1927); 0 to 1 for no trials.
inline std::pair<double, double> wilson_interval(double successes, double trials) {
  if (trials == 0) return {0.0, 1.0};
  const double z = 1.959963984540054;
  const double n = trials;
  const double p = successes / n;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace clearway
