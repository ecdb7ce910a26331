// Tobit expert (Tobin 1958): a Gaussian around a'x + b of which some responses are known to lie beyond a limit only.
//
//   observed (event 1):        log f = log N(y; a_k'x + b_k, sigma_k^2)
//   right-censored (event 0):  log P(Y > y) = log Phi(-z),   z = (y - a_k'x - b_k) / sigma_k
//   left-censored (event -1):  log P(Y < y) = log Phi(z)
#pragma once

#include "clearway/core/experts/gaussian.hpp"

namespace clearway {

template <Array A>
struct TobitParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_sigmas;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_sigmas", self.log_sigmas);
  }
};

struct TobitExpert {
  static constexpr std::string_view kName = "tobit";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = TobitParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  TobitParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// Mean of the response before censoring: x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const TobitParameters<A>& p, const A& offset = A()) const {
    return linear_predictor("tobit expert", x, p.slopes, p.intercepts, offset);
  }
  /// y n x 1, x n x d, event n x 1 of 1, 0, -1 or empty (all observed), offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const TobitParameters<A>& p, const A& event = A(),
                const A& offset = A()) const {
    check_shape("tobit expert", "response", y, rows(x), 1);
    check_shape("tobit expert", "log_sigmas", p.log_sigmas, 1, cols(p.intercepts));
    const A means = mean(x, p, offset);
    const A observed = gaussian_log_density(y, means, p.log_sigmas);
    if (rows(event) == 0) return observed;
    check_shape("tobit expert", "event", event, rows(x), 1);
    const A minus_means = -means;
    const A minus_log_sigmas = -p.log_sigmas;
    const A z = mul_row(add_col(minus_means, y), A(exp(minus_log_sigmas)));
    const A minus_z = -z;
    const A is_observed = at_least(event, 0.5);
    const A is_left = at_least(event, -0.5) * -1.0 + 1.0;
    const A is_right = (is_observed + is_left) * -1.0 + 1.0;
    return mul_col(observed, is_observed) + mul_col(log_normal_cdf(z), is_left) +
           mul_col(log_normal_cdf(minus_z), is_right);
  }
};

}  // namespace clearway
