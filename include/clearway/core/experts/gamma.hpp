// Gamma expert in the mean-shape form: positive responses whose standard deviation grows with the mean.
//
//   mu_k = link^-1(a_k'x + b_k + offset),   shape alpha_k,   Var[y | x] = mu^2 / alpha
//   log f_k(y | x) = alpha log(alpha / mu) - log Gamma(alpha) + (alpha - 1) log y - alpha y / mu,   y > 0
#pragma once

#include "clearway/core/experts/expert.hpp"
#include "clearway/core/links.hpp"

namespace clearway {

template <Array A>
struct GammaParameters {
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

struct GammaExpert {
  static constexpr std::string_view kName = "gamma";
  static constexpr Support kSupport = Support::positive;
  template <Array A>
  using Parameters = GammaParameters<A>;

  LinkKind link = LinkKind::log;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  GammaParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// mu: x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const GammaParameters<A>& p, const A& offset = A()) const {
    const A log_mu = log_mean(link, linear_predictor("gamma expert", x, p.slopes, p.intercepts, offset));
    return exp(log_mu);
  }
  /// y n x 1 (positive), x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const GammaParameters<A>& p, const A& offset = A()) const {
    check_shape("gamma expert", "response", y, rows(x), 1);
    check_shape("gamma expert", "log_shapes", p.log_shapes, 1, cols(p.intercepts));
    const A log_mu = log_mean(link, linear_predictor("gamma expert", x, p.slopes, p.intercepts, offset));
    const A shape = exp(p.log_shapes);
    // With r = log(y / mu) the log-density is alpha (log alpha + r - e^r) - log Gamma(alpha) - log y.
    const A log_y = log(y);
    const A minus_log_mu = -log_mu;
    const A log_ratio = add_col(minus_log_mu, log_y);
    const A bracket = add_row(log_ratio, p.log_shapes) - exp(log_ratio);
    const A minus_log_gamma = -log_gamma(shape);
    const A kernel = add_row(mul_row(bracket, shape), minus_log_gamma);
    const A minus_log_y = -log_y;
    return add_col(kernel, minus_log_y);
  }
};

}  // namespace clearway
