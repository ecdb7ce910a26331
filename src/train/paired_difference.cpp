#include "clearway/train/paired_difference.hpp"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>

namespace clearway::train {

Moments moments(std::span<const double> values) {
  Moments out;
  for (const double value : values) out.mean += value / static_cast<double>(values.size());
  for (const double value : values) out.deviation += (value - out.mean) * (value - out.mean);
  out.deviation = values.size() < 2 ? 0 : std::sqrt(out.deviation / static_cast<double>(values.size() - 1));
  return out;
}

PairedDifference paired_difference(std::span<const double> differences, double overlap) {
  PairedDifference out;
  out.pairs = differences.size();
  const Moments own = moments(differences);
  out.mean = own.mean;
  if (out.pairs < 2) return out;
  const auto count = static_cast<double>(out.pairs);
  const double quantile = boost::math::quantile(boost::math::students_t(count - 1), 0.975);
  const double half = quantile * own.deviation * std::sqrt(1 / count + overlap);
  out.low = out.mean - half;
  out.high = out.mean + half;
  out.within_noise = out.low <= 0 && out.high >= 0;
  return out;
}

}  // namespace clearway::train
