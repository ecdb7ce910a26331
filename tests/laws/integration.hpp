// Integrals and sums over the response: does a density integrate to 1, and to its mean?
#pragma once

#include <cmath>
#include <vector>

#include "expert_cases.hpp"

namespace clearway::laws {

/// Points of the response (one per row) and their weights: sum_i weight_i f(y_i) approximates the integral of f (or is
/// the sum over the possible values).
struct ResponseGrid {
  DoubleArray y;        ///< N x m
  DoubleArray weights;  ///< N x 1
};

inline constexpr double kHalfPi = 1.5707963267948966;

/// Double-exponential (sinh-sinh) rule on the real line around `centre`: y = centre + sinh(pi/2 sinh t) for 2 half + 1
/// values of t, evenly spaced in |t| <= reach. For integrands that are analytic near the axis the error falls
/// exponentially in `half`. With 400 and 4, y runs to e^42, and tails down to |y|^-2 and widths from 0.05 to 20 come
/// out to 1e-10. With 130 and 3, y runs to e^15 and points near y = 3 lie 0.2 apart. That is enough for Gaussians:
/// evenly spaced points at distance h err by exp(-2 pi^2 sigma^2 / h^2), e^-50 for sigma = 0.33, which is four standard
/// deviations below the usual.
inline ResponseGrid real_grid(double centre, int half = 400, double reach = 4.0) {
  const double step = reach / half;
  ResponseGrid grid{DoubleArray(2 * half + 1, 1), DoubleArray(2 * half + 1, 1)};
  for (int i = -half; i <= half; ++i) {
    const double t = i * step, inner = kHalfPi * std::sinh(t);
    grid.y(i + half, 0) = centre + std::sinh(inner);
    grid.weights(i + half, 0) = step * std::cosh(inner) * kHalfPi * std::cosh(t);
  }
  return grid;
}

/// The same rule on y > 0 by y = centre exp(pi/2 sinh t). It reaches down to e^-192 centre, so that less than e^-25 is
/// lost even for a density like y^(0.13 - 1) at 0, a Gamma shape four standard deviations below the usual.
inline ResponseGrid positive_grid(double centre) {
  constexpr int kHalf = 400;
  constexpr double kStep = 5.5 / kHalf;
  ResponseGrid grid{DoubleArray(2 * kHalf + 1, 1), DoubleArray(2 * kHalf + 1, 1)};
  for (int i = -kHalf; i <= kHalf; ++i) {
    const double t = i * kStep, y = centre * std::exp(kHalfPi * std::sinh(t));
    grid.y(i + kHalf, 0) = y;
    grid.weights(i + kHalf, 0) = kStep * y * kHalfPi * std::cosh(t);
  }
  return grid;
}

/// The rule on both sides of `centre`, each by offsets from 0: for densities with a kink there.
inline ResponseGrid two_sided_grid(double centre) {
  const ResponseGrid offsets = positive_grid(1.0);
  const Eigen::Index n = offsets.y.rows();
  ResponseGrid grid{DoubleArray(2 * n, 1), DoubleArray(2 * n, 1)};
  grid.y << centre - offsets.y, centre + offsets.y;
  grid.weights << offsets.weights, offsets.weights;
  return grid;
}

/// Double-exponential rule on 0 < y < 1: y = 1 / (1 + exp(-pi sinh t)).
inline ResponseGrid unit_grid() {
  constexpr int kHalf = 200;
  constexpr double kStep = 3.0 / kHalf;
  ResponseGrid grid{DoubleArray(2 * kHalf + 1, 1), DoubleArray(2 * kHalf + 1, 1)};
  for (int i = -kHalf; i <= kHalf; ++i) {
    const double t = i * kStep, y = 1 / (1 + std::exp(-2 * kHalfPi * std::sinh(t)));
    grid.y(i + kHalf, 0) = y;
    grid.weights(i + kHalf, 0) = kStep * 2 * kHalfPi * std::cosh(t) * y / (1 + std::exp(2 * kHalfPi * std::sinh(t)));
  }
  return grid;
}

/// The values low, low + step ... with equal weights.
inline ResponseGrid even_grid(double low, double step, int count, double weight) {
  ResponseGrid grid{DoubleArray(count, 1), DoubleArray::Constant(count, 1, weight)};
  for (int i = 0; i < count; ++i) grid.y(i, 0) = low + step * i;
  return grid;
}

/// All pairs of two grids: a response of two numbers.
inline ResponseGrid product_grid(const ResponseGrid& first, const ResponseGrid& second) {
  const Eigen::Index n = first.y.rows(), m = second.y.rows();
  ResponseGrid grid{DoubleArray(n * m, 2), DoubleArray(n * m, 1)};
  for (Eigen::Index i = 0; i < n; ++i)
    for (Eigen::Index j = 0; j < m; ++j) {
      grid.y(i * m + j, 0) = first.y(i, 0);
      grid.y(i * m + j, 1) = second.y(j, 0);
      grid.weights(i * m + j, 0) = first.weights(i, 0) * second.weights(j, 0);
    }
  return grid;
}

/// The largest count to sum over: the trials, or 12 standard deviations of a Poisson above its mean, where less than
/// 1e-16 is left.
inline int count_limit(const BinomialExpert&, double) {
  return 1;
}
inline int count_limit(const TenTrials&, double) {
  return 10;
}
inline int count_limit(const PoissonExpert&, double mean) {
  return static_cast<int>(std::ceil(mean + 12 * std::sqrt(mean) + 30));
}

/// The grid for one expert at one input. `mean` is 1 x m, the expert's mean there.
template <class Expert, class Parameters>
ResponseGrid response_grid(const Expert& expert, const Parameters& parameters, const DoubleArray& mean) {
  if constexpr (std::is_base_of_v<GaussianVectorExpert, Expert>)
    return product_grid(real_grid(mean(0, 0), 130, 3), real_grid(mean(0, 1), 130, 3));
  else if constexpr (Expert::kSupport == Support::classes)
    return even_grid(0, 1, expert.classes, 1);
  else if constexpr (std::is_base_of_v<UniformExpert, Expert>) {
    // Midpoints of cells of which 100 fill the box, 50 more on either side: exact for a constant density.
    const double low = parameters.lower(0, 0), step = (parameters.upper(0, 0) - low) / 100;
    return even_grid(low - 49.5 * step, step, 200, step);
  } else if constexpr (std::is_same_v<Expert, NegativeBinomialExpert>) {
    // The tail falls like (mu / (mu + theta))^y: 1e-16 of it is left after 37 (1 + mu / theta) counts above the mean, and
    // some more for the power of y in front.
    const double ratio = mean(0, 0) * std::exp(-parameters.log_sizes.minCoeff());
    return even_grid(0, 1, static_cast<int>(mean(0, 0) + 45 * (1 + ratio)) + 30, 1);
  } else if constexpr (std::is_same_v<Expert, ZeroInflatedPoissonExpert>) {
    const double most = mean(0, 0) * (1 + std::exp(parameters.logit_zeros.maxCoeff()));
    return even_grid(0, 1, count_limit(PoissonExpert(), most) + 1, 1);
  } else if constexpr (std::is_same_v<Expert, LaplaceExpert>) {
    return two_sided_grid(mean(0, 0));
  } else if constexpr (Expert::kSupport == Support::unit) {
    return unit_grid();
  } else if constexpr (Expert::kSupport == Support::counts)
    return even_grid(0, 1, count_limit(expert, mean(0, 0)) + 1, 1);
  else if constexpr (Expert::kSupport == Support::positive)
    return positive_grid(mean(0, 0));
  else
    return real_grid(mean(0, 0));
}

}  // namespace clearway::laws
