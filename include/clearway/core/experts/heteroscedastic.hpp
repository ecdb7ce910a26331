// Gaussian expert whose noise level depends on the inputs: mean a'x + b, log sigma = c'x + e.
//
//   log f_k(y | x) = -log(2 pi) / 2 - s - (y - a_k'x - b_k)^2 exp(-2 s) / 2,   s = c_k'x + e_k
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct HeteroscedasticParameters {
  A slopes;                ///< k x d
  A intercepts;            ///< 1 x k
  A log_sigma_slopes;      ///< k x d
  A log_sigma_intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_sigma_slopes", self.log_sigma_slopes);
    field("log_sigma_intercepts", self.log_sigma_intercepts);
  }
};

struct HeteroscedasticExpert {
  static constexpr std::string_view kName = "heteroscedastic";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = HeteroscedasticParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  HeteroscedasticParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A mean(const A& x, const HeteroscedasticParameters<A>& p, const A& offset = A()) const {
    return linear_predictor("heteroscedastic expert", x, p.slopes, p.intercepts, offset);
  }
  /// Logarithm of the noise standard deviation: n x k.
  template <Array A>
  A log_sigma(const A& x, const HeteroscedasticParameters<A>& p) const {
    return linear_predictor("heteroscedastic expert: log_sigma", x, p.log_sigma_slopes, p.log_sigma_intercepts);
  }
  /// y n x 1, x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const HeteroscedasticParameters<A>& p, const A& offset = A()) const {
    check_shape("heteroscedastic expert", "response", y, rows(x), 1);
    check_shape("heteroscedastic expert", "log_sigma_intercepts", p.log_sigma_intercepts, 1, cols(p.intercepts));
    const A minus_means = -mean(x, p, offset);
    const A residuals = add_col(minus_means, y);
    const A minus_log_sigma = -log_sigma(x, p);
    const A z = residuals * exp(minus_log_sigma);
    return square(z) * -0.5 + minus_log_sigma - 0.5 * kLogTwoPi;
  }
};

}  // namespace clearway
