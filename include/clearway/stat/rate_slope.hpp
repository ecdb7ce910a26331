// The exponent of a power law, measured: errors against sample sizes on log-log paper, one robust line, an interval.
//
//   slope = median over i < j of (log m_j - log m_i) / (log n_j - log n_i)        (Theil 1950, Sen 1968)
//
// m_i is the median error of all trials with n_i rows. Every size and every trial counts: nothing is dropped after
// looking. The interval is the percentile interval of a bootstrap that draws trials with replacement within each size
// (trials of different sizes are independent). A rate that theory gives as (log n / n)^e is no straight line at the sizes
// that a computer reaches: power_of_log_slope() is what the same estimator finds on that curve.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace clearway {

/// Theil-Sen slope of y on x: the median of the slopes of all pairs. Throws std::invalid_argument for fewer than two
/// points, unequal lengths or two equal x; a y that is not finite gives NaN.
double theil_sen_slope(const std::vector<double>& x, const std::vector<double>& y);

struct RateSlope {
  double slope = std::numeric_limits<double>::quiet_NaN();  ///< of log median error on log rows
  double low = std::numeric_limits<double>::quiet_NaN();    ///< 95 % interval
  double high = std::numeric_limits<double>::quiet_NaN();
  double deviation = std::numeric_limits<double>::quiet_NaN();  ///< standard deviation of the resampled slopes

  bool known() const { return slope == slope; }
};

/// `errors[i]`: the errors of all trials with rows[i] rows, in any order, all >= 0; NaN (a quantity that a trial did not
/// have) is left out. The slope is not known when some size has no error, or a median of 0 (exact recovery).
RateSlope rate_slope(const std::vector<double>& rows, const std::vector<std::vector<double>>& errors,
                     int resamples = 2000, std::uint64_t seed = 1);

/// Theil-Sen slope of log (log n / n)^exponent on log n over the same sizes; exponent > 0.
double power_of_log_slope(const std::vector<double>& rows, double exponent);

}  // namespace clearway
