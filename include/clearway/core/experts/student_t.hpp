// Student t expert around a'x + b: regression that is robust to outliers.
//
//   log f_k(y | x) = log Gamma((nu+1)/2) - log Gamma(nu/2) - log(pi nu) / 2 - log sigma_k
//                    - (nu+1)/2 log(1 + z^2 / nu),   z = (y - a_k'x - b_k) / sigma_k
//
// sigma is the scale, not the standard deviation; nu (degrees of freedom) is per expert. The difference of the two
// log Gammas loses digits as nu grows: the absolute error is about 1e-16 nu log nu, so keep nu below 1e6.
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct StudentTParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_sigmas;  ///< 1 x k, logarithm of the scale
  A log_nus;     ///< 1 x k, logarithm of the degrees of freedom

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_sigmas", self.log_sigmas);
    field("log_nus", self.log_nus);
  }
};

struct StudentTExpert {
  static constexpr std::string_view kName = "student-t";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = StudentTParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  StudentTParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// The location a'x + b, which is E[y | x] when nu > 1: x n x d -> n x k.
  template <Array A>
  A mean(const A& x, const StudentTParameters<A>& p) const {
    return linear_predictor("student-t expert", x, p.slopes, p.intercepts);
  }
  /// y n x 1, x n x d -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const StudentTParameters<A>& p) const {
    check_shape("student-t expert", "response", y, rows(x), 1);
    check_shape("student-t expert", "log_sigmas", p.log_sigmas, 1, cols(p.intercepts));
    check_shape("student-t expert", "log_nus", p.log_nus, 1, cols(p.intercepts));
    const A minus_means = -mean(x, p);
    const A residuals = add_col(minus_means, y);
    const A nu = exp(p.log_nus);
    const A upper = (nu + 1.0) * 0.5;
    const A lower = nu * 0.5;
    const A constant = log_gamma(upper) - log_gamma(lower) - (p.log_nus + kLogPi) * 0.5 - p.log_sigmas;
    const A inverse_scale = exp(p.log_nus * -0.5 - p.log_sigmas);  // z / sqrt(nu) = residual * this
    const A standardised = mul_row(residuals, inverse_scale);
    const A squares = square(standardised);
    const A tails = log1p(squares);
    const A minus_upper = -upper;
    return add_row(mul_row(tails, minus_upper), constant);
  }
};

}  // namespace clearway
