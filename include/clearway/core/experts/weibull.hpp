// Weibull expert: a time until an event, perhaps censored on the right. Accelerated failure time form.
//
//   scale lambda_k = exp(a_k'x + b_k + offset),   shape kappa_k,   w = kappa_k (log y - log lambda_k)
//   observed (event 1):        log f = log kappa_k + w - log y - e^w
//   right-censored (event 0):  log P(Y > y) = -e^w
//   E[y | x] = lambda Gamma(1 + 1 / kappa)
//
// R's survival::survreg has the same coefficients and scale = 1 / kappa.
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct WeibullParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_shapes;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_shapes", self.log_shapes);
  }
};

struct WeibullExpert {
  static constexpr std::string_view kName = "weibull";
  static constexpr Support kSupport = Support::positive;
  template <Array A>
  using Parameters = WeibullParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  WeibullParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const WeibullParameters<A>& p, const A& offset = A()) const {
    const A eta = linear_predictor("weibull expert", x, p.slopes, p.intercepts, offset);
    const A minus_log_shapes = -p.log_shapes;
    const A moment = exp(minus_log_shapes) + 1.0;
    const A log_mean_value = add_row(eta, log_gamma(moment));
    return exp(log_mean_value);
  }
  /// y n x 1 (positive), x n x d, event n x 1 of 1 and 0 or empty (all observed), offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const WeibullParameters<A>& p, const A& event = A(),
                const A& offset = A()) const {
    check_shape("weibull expert", "response", y, rows(x), 1);
    check_shape("weibull expert", "log_shapes", p.log_shapes, 1, cols(p.intercepts));
    const A eta = linear_predictor("weibull expert", x, p.slopes, p.intercepts, offset);
    const A log_y = log(y);
    const A minus_eta = -eta;
    const A w = mul_row(add_col(minus_eta, log_y), A(exp(p.log_shapes)));
    const A minus_log_y = -log_y;
    const A hazard = add_col(add_row(w, p.log_shapes), minus_log_y);
    if (rows(event) == 0) return hazard - exp(w);
    check_shape("weibull expert", "event", event, rows(x), 1);
    return mul_col(hazard, event) - exp(w);
  }
};

}  // namespace clearway
