// The standard normal distribution function in its tails: log Phi and phi / Phi without cancellation or underflow.
//
// From x = -5 down they use Laplace's continued fraction of Mills' ratio (DLMF 7.9.2),
//   Phi(-t) / phi(t) = 1 / (t + 1 / (t + 2 / (t + 3 / (t + ...)))),
// whose first 60 terms are exact to rounding there.
#pragma once

#include <cmath>

namespace clearway {

namespace normal_tail {
/// Phi(-t) / phi(t) for t >= 5.
inline double mills_ratio(double t) {
  double rest = t;
  for (int j = 60; j >= 1; --j) rest = t + j / rest;
  return 1 / rest;
}
inline constexpr double kNormalTail = -5.0;
inline constexpr double kHalfLogTwoPi = 0.91893853320467274178;
}  // namespace normal_tail

/// log Phi(x).
inline double log_normal_cdf(double x) {
  if (x < normal_tail::kNormalTail)
    return -0.5 * x * x - normal_tail::kHalfLogTwoPi + std::log(normal_tail::mills_ratio(-x));
  constexpr double kRootHalf = 0.70710678118654752440;
  return x < 0 ? std::log(0.5 * std::erfc(-x * kRootHalf)) : std::log1p(-0.5 * std::erfc(x * kRootHalf));
}

/// phi(x) / Phi(x), the derivative of log Phi.
inline double inverse_mills_ratio(double x) {
  if (x < normal_tail::kNormalTail) return 1 / normal_tail::mills_ratio(-x);
  return std::exp(-0.5 * x * x - normal_tail::kHalfLogTwoPi) / (0.5 * std::erfc(-x * 0.70710678118654752440));
}

}  // namespace clearway
