// Inverse Gaussian expert: positive responses whose standard deviation grows with mean^(3/2).
//
//   mu_k = link^-1(a_k'x + b_k + offset),   shape lambda_k,   Var[y | x] = mu^3 / lambda
//   log f_k(y | x) = (log lambda - log(2 pi) - 3 log y) / 2 - lambda (y - mu)^2 / (2 mu^2 y),   y > 0
#pragma once

#include "clearway/core/experts/expert.hpp"
#include "clearway/core/links.hpp"

namespace clearway {

template <Array A>
struct InverseGaussianParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_shapes;  ///< 1 x k, logarithm of lambda

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_shapes", self.log_shapes);
  }
};

struct InverseGaussianExpert {
  static constexpr std::string_view kName = "inverse-gaussian";
  static constexpr Support kSupport = Support::positive;
  template <Array A>
  using Parameters = InverseGaussianParameters<A>;

  LinkKind link = LinkKind::log;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  InverseGaussianParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// mu: x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const InverseGaussianParameters<A>& p, const A& offset = A()) const {
    const A log_mu = log_mean(link, linear_predictor("inverse-gaussian expert", x, p.slopes, p.intercepts, offset));
    return exp(log_mu);
  }
  /// y n x 1 (positive), x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const InverseGaussianParameters<A>& p, const A& offset = A()) const {
    check_shape("inverse-gaussian expert", "response", y, rows(x), 1);
    check_shape("inverse-gaussian expert", "log_shapes", p.log_shapes, 1, cols(p.intercepts));
    const A log_mu = log_mean(link, linear_predictor("inverse-gaussian expert", x, p.slopes, p.intercepts, offset));
    const A minus_log_mu = -log_mu;
    const A ratio = mul_col(A(exp(minus_log_mu)), y);  // y / mu
    const A deviation = square(A(ratio - 1.0));
    const A half_over_y = filled(y, rows(y), 1, -0.5) / y;
    const A quadratic = mul_row(mul_col(deviation, half_over_y), A(exp(p.log_shapes)));
    const A log_y = log(y);
    const A minus_logs = log_y * -1.5 - 0.5 * kLogTwoPi;
    const A half_log_shapes = p.log_shapes * 0.5;
    return add_row(add_col(quadratic, minus_logs), half_log_shapes);
  }
};

}  // namespace clearway
