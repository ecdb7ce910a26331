// Skew-t expert (Azzalini and Capitanio 2003, Journal of the Royal Statistical Society B 65, 367) around the location
// a'x + b: outliers and skewness at once.
//
//   log f_k(y | x) = log 2 - log omega_k + log t_nu(z) + log T_{nu+1}(alpha_k z sqrt((nu + 1) / (nu + z^2))),
//                    z = (y - xi) / omega_k,   xi = a_k'x + b_k,
//                    t_nu, T_nu density and distribution function of Student's t
//   E[y | x] = xi + omega delta sqrt(nu / pi) Gamma((nu-1)/2) / Gamma(nu/2),   delta = alpha / sqrt(1 + alpha^2), nu > 1
//
// alpha = 0 is the Student t expert, nu = infinity the skew-normal one. The difference of the two log Gammas loses digits
// as nu grows: the absolute error is about 1e-16 nu log nu, so keep nu below 1e6 here.
#pragma once

#include <cmath>

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct SkewTParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_scales;  ///< 1 x k, logarithm of omega
  A slants;      ///< 1 x k, alpha: 0 is Student's t
  A log_nus;     ///< 1 x k, logarithm of the degrees of freedom

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_scales", self.log_scales);
    field("slants", self.slants);
    field("log_nus", self.log_nus);
  }
};

struct SkewTExpert {
  static constexpr std::string_view kName = "skew-t";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = SkewTParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  SkewTParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    const A zero = filled(like, 1, k, 0.0);
    return {filled(like, k, d, 0.0), zero, zero, zero, zero};
  }
  /// The mean, not the location; NaN where nu < 1 and infinite at nu = 1. x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const SkewTParameters<A>& p, const A& offset = A()) const {
    const A location = linear_predictor("skew-t expert", x, p.slopes, p.intercepts, offset);
    const A squares = square(p.slants);
    const A delta = p.slants * exp(log1p(squares) * -0.5);
    const A nu = exp(p.log_nus);
    const A lower = (nu - 1.0) * 0.5;
    const A middle = (nu + 1.0) * 0.5;
    const A half = nu * 0.5;
    const A gammas =
        log_gamma(middle) - log(lower) - log_gamma(half);  // Gamma((nu-1)/2) = Gamma((nu+1)/2) / ((nu-1)/2)
    const A shift = exp(p.log_scales + (p.log_nus - kLogPi) * 0.5 + gammas) * delta;
    return add_row(location, shift);
  }
  /// y n x 1, x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const SkewTParameters<A>& p, const A& offset = A()) const {
    check_shape("skew-t expert", "response", y, rows(x), 1);
    check_shape("skew-t expert", "log_scales", p.log_scales, 1, cols(p.intercepts));
    check_shape("skew-t expert", "slants", p.slants, 1, cols(p.intercepts));
    check_shape("skew-t expert", "log_nus", p.log_nus, 1, cols(p.intercepts));
    const A location = linear_predictor("skew-t expert", x, p.slopes, p.intercepts, offset);
    const A minus_location = -location;
    const A residuals = add_col(minus_location, y);
    const A nu = exp(p.log_nus);
    const A next = nu + 1.0;
    const A upper = next * 0.5;
    const A lower = nu * 0.5;
    const A constant = log_gamma(upper) - log_gamma(lower) - (p.log_nus + kLogPi) * 0.5 - p.log_scales + kLogTwo;
    const A inverse_scale = exp(p.log_nus * -0.5 - p.log_scales);  // z / sqrt(nu) = residual * this
    const A standardised = mul_row(residuals, inverse_scale);
    const A squares = square(standardised);
    const A tails = log1p(squares);
    const A minus_upper = -upper;
    // z sqrt((nu + 1) / (nu + z^2)) = (z / sqrt(nu)) sqrt(nu + 1) / sqrt(1 + z^2 / nu)
    const A steepness = p.slants * sqrt(next);
    const A slanted = mul_row(A(standardised * exp(tails * -0.5)), steepness);
    const A zero = filled(slanted, rows(slanted), cols(slanted), 0.0);
    return add_row(mul_row(tails, minus_upper), constant) + log_student_cdf(slanted, A(add_row(zero, next)));
  }
};

}  // namespace clearway
