// Tails and quantiles of the reference distributions of tests and intervals. Boost.Math stays in one source.
#pragma once

namespace clearway::detail {

/// P(|Z| > |z|), Z standard normal.
double two_sided_normal_tail(double z);
/// The z with P(Z <= z) = probability, in (0, 1).
double normal_quantile(double probability);
/// P(X > x), X chi-squared with `degrees` > 0 degrees of freedom.
double chi_squared_tail(double x, double degrees);
/// The x with P(X <= x) = probability.
double chi_squared_quantile(double probability, double degrees);

}  // namespace clearway::detail
