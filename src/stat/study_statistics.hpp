// The few summary statistics of the studies.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "clearway/core/order_statistics.hpp"

namespace clearway::detail {

/// Quantile by linear interpolation of the order statistics (R's type 7); NaN for no values. NaNs are left out.
inline double quantile(std::vector<double> values, double probability) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double position = probability * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  if (below + 1 >= values.size()) return values.back();
  const double share = position - static_cast<double>(below);
  return values[below] + share * (values[below + 1] - values[below]);
}

inline double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

using clearway::wilson_interval;

}  // namespace clearway::detail
