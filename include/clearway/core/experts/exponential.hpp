// Exponential expert: a time until an event with constant hazard, perhaps censored on the right. Log link.
//
//   mu_k = exp(a_k'x + b_k + offset)
//   observed (event 1):        log f = -log mu_k - y / mu_k
//   right-censored (event 0):  log P(Y > y) = -y / mu_k
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct ExponentialParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct ExponentialExpert {
  static constexpr std::string_view kName = "exponential";
  static constexpr Support kSupport = Support::positive;
  template <Array A>
  using Parameters = ExponentialParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  ExponentialParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// mu: x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const ExponentialParameters<A>& p, const A& offset = A()) const {
    const A eta = linear_predictor("exponential expert", x, p.slopes, p.intercepts, offset);
    return exp(eta);
  }
  /// y n x 1 (positive), x n x d, event n x 1 of 1 and 0 or empty (all observed), offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const ExponentialParameters<A>& p, const A& event = A(),
                const A& offset = A()) const {
    check_shape("exponential expert", "response", y, rows(x), 1);
    const A minus_eta = -linear_predictor("exponential expert", x, p.slopes, p.intercepts, offset);
    const A hazard_sum = mul_col(A(exp(minus_eta)), y);
    if (rows(event) == 0) return minus_eta - hazard_sum;
    check_shape("exponential expert", "event", event, rows(x), 1);
    return mul_col(minus_eta, event) - hazard_sum;
  }
};

}  // namespace clearway
