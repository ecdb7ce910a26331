// Laplace expert: least absolute deviations around a'x + b, robust in y.
//
//   log f_k(y | x) = -log 2 - log b_k - |y - a_k'x - b0_k| / b_k,   Var[y | x] = 2 b^2
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct LaplaceExpertParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_scales;  ///< 1 x k, logarithm of the scale b (the mean absolute deviation)

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_scales", self.log_scales);
  }
};

struct LaplaceExpert {
  static constexpr std::string_view kName = "laplace";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = LaplaceExpertParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  LaplaceExpertParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const LaplaceExpertParameters<A>& p, const A& offset = A()) const {
    return linear_predictor("laplace expert", x, p.slopes, p.intercepts, offset);
  }
  /// y n x 1, x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const LaplaceExpertParameters<A>& p, const A& offset = A()) const {
    check_shape("laplace expert", "response", y, rows(x), 1);
    check_shape("laplace expert", "log_scales", p.log_scales, 1, cols(p.intercepts));
    const A minus_means = -mean(x, p, offset);
    const A residuals = add_col(minus_means, y);
    const A minus_log_scales = -p.log_scales;
    const A inverse_scales = exp(minus_log_scales);
    const A distance = abs(residuals);
    const A kernel = mul_row(distance, inverse_scales) * -1.0 - kLogTwo;
    return add_row(kernel, minus_log_scales);
  }
};

}  // namespace clearway
