// Beta expert (Ferrari and Cribari-Neto 2004) with logit link: a response strictly between 0 and 1.
//
//   mu_k = 1 / (1 + exp(-a_k'x - b_k - offset)),   precision phi_k,   Var[y | x] = mu (1 - mu) / (1 + phi)
//   log f_k(y | x) = log Gamma(phi) - log Gamma(mu phi) - log Gamma((1 - mu) phi) + (mu phi - 1) log y
//                    + ((1 - mu) phi - 1) log(1 - y),   0 < y < 1
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct BetaParameters {
  A slopes;          ///< k x d
  A intercepts;      ///< 1 x k
  A log_precisions;  ///< 1 x k, logarithm of phi

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_precisions", self.log_precisions);
  }
};

struct BetaExpert {
  static constexpr std::string_view kName = "beta";
  static constexpr Support kSupport = Support::unit;
  template <Array A>
  using Parameters = BetaParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  BetaParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// mu: x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const BetaParameters<A>& p, const A& offset = A()) const {
    const A log_mu = log_sigmoid(linear_predictor("beta expert", x, p.slopes, p.intercepts, offset));
    return exp(log_mu);
  }
  /// y n x 1 (inside (0, 1)), x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const BetaParameters<A>& p, const A& offset = A()) const {
    check_shape("beta expert", "response", y, rows(x), 1);
    check_shape("beta expert", "log_precisions", p.log_precisions, 1, cols(p.intercepts));
    const A eta = linear_predictor("beta expert", x, p.slopes, p.intercepts, offset);
    const A minus_eta = -eta;
    const A precision = exp(p.log_precisions);
    const A log_mu = log_sigmoid(eta), log_rest = log_sigmoid(minus_eta);
    const A first = mul_row(A(exp(log_mu)), precision), second = mul_row(A(exp(log_rest)), precision);
    const A minus_y = -y;
    const A log_y = log(y), log_remainder = log1p(minus_y);
    const A powers = mul_col(A(first - 1.0), log_y) + mul_col(A(second - 1.0), log_remainder);
    const A constant = log_gamma(precision);
    return add_row(A(powers - log_gamma(first) - log_gamma(second)), constant);
  }
};

}  // namespace clearway
