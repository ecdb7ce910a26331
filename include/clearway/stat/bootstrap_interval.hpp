// Intervals from bootstrap replications (Efron and Tibshirani 1993, ch. 13-14; Davison and Hinkley 1997, ch. 5).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway {

enum class IntervalKind { percentile, basic, bca, normal };
inline std::span<const EnumName<IntervalKind>> enum_names(IntervalKind) {
  static constexpr std::array<EnumName<IntervalKind>, 4> names{{
      {IntervalKind::percentile, "percentile", "quantiles of the replications"},
      {IntervalKind::basic, "basic", "twice the estimate minus the quantiles: the percentile interval reflected"},
      {IntervalKind::bca, "bca", "quantiles corrected for bias and for how the spread changes with the estimate"},
      {IntervalKind::normal, "normal", "estimate minus bias, plus and minus normal quantiles of standard errors"},
  }};
  return names;
}

struct Interval {
  double low = 0;
  double high = 0;
};

/// The interval of one number. `replications` are finite, in any order; `acceleration` is used by BCa only:
/// sum l^3 / (6 (sum l^2)^1.5) of the influence l of the rows. NaN with fewer than 2 replications. Quantiles are those at
/// (R + 1) p of the order statistics, held within the smallest and the largest.
Interval bootstrap_interval(IntervalKind kind, double level, double estimate, std::vector<double> replications,
                            double acceleration = 0);

/// sum l^3 / (6 (sum l^2)^1.5); 0 where all l are 0.
double bca_acceleration(std::span<const double> influence);

}  // namespace clearway
