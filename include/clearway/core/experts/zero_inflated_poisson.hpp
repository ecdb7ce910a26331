// Zero-inflated Poisson expert (Lambert 1992): counts with more zeros than a Poisson distribution has.
//
//   lambda_k = exp(a_k'x + b_k + offset),   pi_k = 1 / (1 + exp(-t_k)),   E[y | x] = (1 - pi) lambda
//   f_k(0 | x) = pi + (1 - pi) exp(-lambda),   f_k(y | x) = (1 - pi) exp(-lambda) lambda^y / y!,   y = 1, 2 ...
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct ZeroInflatedPoissonParameters {
  A slopes;       ///< k x d
  A intercepts;   ///< 1 x k
  A logit_zeros;  ///< 1 x k, log-odds of the extra zero

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("logit_zeros", self.logit_zeros);
  }
};

struct ZeroInflatedPoissonExpert {
  static constexpr std::string_view kName = "zero-inflated-poisson";
  static constexpr Support kSupport = Support::counts;
  template <Array A>
  using Parameters = ZeroInflatedPoissonParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  ZeroInflatedPoissonParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// (1 - pi) lambda: x n x d, offset n x 1 (log exposure) or empty -> n x k.
  template <Array A>
  A mean(const A& x, const ZeroInflatedPoissonParameters<A>& p, const A& offset = A()) const {
    const A eta = linear_predictor("zero-inflated-poisson expert", x, p.slopes, p.intercepts, offset);
    const A minus_logit = -p.logit_zeros;
    const A log_counted = log_sigmoid(minus_logit);
    const A log_mean_value = add_row(eta, log_counted);
    return exp(log_mean_value);
  }
  /// y n x 1 (counts), x n x d, offset n x 1 (log exposure) or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const ZeroInflatedPoissonParameters<A>& p, const A& offset = A()) const {
    check_shape("zero-inflated-poisson expert", "response", y, rows(x), 1);
    check_shape("zero-inflated-poisson expert", "logit_zeros", p.logit_zeros, 1, cols(p.intercepts));
    const A eta = linear_predictor("zero-inflated-poisson expert", x, p.slopes, p.intercepts, offset);
    const A minus_logit = -p.logit_zeros;
    const A log_counted = log_sigmoid(minus_logit);
    const A y_plus_one = y + 1.0;
    const A minus_log_factorial = -log_gamma(y_plus_one);
    const A kernel = mul_col(eta, y) - exp(eta);
    const A counted = add_row(add_col(kernel, minus_log_factorial), log_counted);
    // log(pi + c) = log c - log_sigmoid(log c - log pi); log c - log pi = kernel - t at y = 0.
    const A excess = add_row(kernel, minus_logit);
    const A extra = log_sigmoid(excess) * -1.0;
    const A is_zero = at_least(y, 0.5) * -1.0 + 1.0;
    return counted + mul_col(extra, is_zero);
  }
};

}  // namespace clearway
