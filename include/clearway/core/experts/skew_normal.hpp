// Skew-normal expert (Azzalini 1985) around the location a'x + b.
//
//   log f_k(y | x) = log 2 - log omega_k + log phi(z) + log Phi(alpha_k z),   z = (y - xi) / omega_k,   xi = a_k'x + b_k
//   E[y | x] = xi + omega delta sqrt(2 / pi),   delta = alpha / sqrt(1 + alpha^2)
//
// The score of alpha vanishes at alpha = 0 wherever the normal model fits best, and the information is singular there:
// every Gaussian optimum is a stationary point of this family.
#pragma once

#include <cmath>

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct SkewNormalParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_scales;  ///< 1 x k, logarithm of omega
  A slants;      ///< 1 x k, alpha: 0 is the normal distribution

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_scales", self.log_scales);
    field("slants", self.slants);
  }
};

struct SkewNormalExpert {
  static constexpr std::string_view kName = "skew-normal";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = SkewNormalParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  SkewNormalParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// The mean, not the location: x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const SkewNormalParameters<A>& p, const A& offset = A()) const {
    const A location = linear_predictor("skew-normal expert", x, p.slopes, p.intercepts, offset);
    const A squares = square(p.slants);
    const A delta = p.slants * exp(log1p(squares) * -0.5);
    const A shift = exp(p.log_scales) * delta * std::sqrt(2 / kPi);
    return add_row(location, shift);
  }
  /// y n x 1, x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const SkewNormalParameters<A>& p, const A& offset = A()) const {
    check_shape("skew-normal expert", "response", y, rows(x), 1);
    check_shape("skew-normal expert", "log_scales", p.log_scales, 1, cols(p.intercepts));
    check_shape("skew-normal expert", "slants", p.slants, 1, cols(p.intercepts));
    const A location = linear_predictor("skew-normal expert", x, p.slopes, p.intercepts, offset);
    const A minus_location = -location;
    const A residuals = add_col(minus_location, y);
    const A minus_log_scales = -p.log_scales;
    const A inverse_scales = exp(minus_log_scales);
    const A z = mul_row(residuals, inverse_scales);
    const A slanted = mul_row(z, p.slants);
    const A kernel = square(z) * -0.5 + log_normal_cdf(slanted) + (kLogTwo - 0.5 * kLogTwoPi);
    return add_row(kernel, minus_log_scales);
  }
};

}  // namespace clearway
