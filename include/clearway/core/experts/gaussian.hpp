// Gaussian expert with mean g(a'x + b): linear, sigmoid, tanh, ReLU, leaky ReLU or polynomial regression.
//
//   log f_k(y | x) = -log(2 pi) / 2 - log sigma_k - (y - g(a_k'x + b_k))^2 / (2 sigma_k^2)
//
// With no inputs (d = 0) it is the constant expert: mean g(b_k).
#pragma once

#include "clearway/core/activations.hpp"
#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct GaussianParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_sigmas;  ///< 1 x k, logarithm of the noise standard deviation

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_sigmas", self.log_sigmas);
  }
};

/// log N(y; mean_k, sigma_k^2): y n x 1, means n x k, log_sigmas 1 x k -> n x k.
template <Array A>
A gaussian_log_density(const A& y, const A& means, const A& log_sigmas) {
  const A minus_means = -means;
  const A residuals = add_col(minus_means, y);
  const A inverse_sigmas = exp(-log_sigmas);
  const A standardised = mul_row(residuals, inverse_sigmas);
  const A minus_log_sigmas = -log_sigmas;
  const A quadratic = square(standardised) * -0.5 - 0.5 * kLogTwoPi;
  return add_row(quadratic, minus_log_sigmas);
}

struct GaussianExpert {
  static constexpr std::string_view kName = "gaussian";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = GaussianParameters<A>;

  Activation activation = {};  ///< g

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  GaussianParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// E[y | x]: x n x d, offset n x 1 (added inside g) or empty -> n x k.
  template <Array A>
  A mean(const A& x, const GaussianParameters<A>& p, const A& offset = A()) const {
    return activation.value(linear_predictor("gaussian expert", x, p.slopes, p.intercepts, offset));
  }
  /// y n x 1, x n x d, offset n x 1 or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const GaussianParameters<A>& p, const A& offset = A()) const {
    check_shape("gaussian expert", "response", y, rows(x), 1);
    check_shape("gaussian expert", "log_sigmas", p.log_sigmas, 1, cols(p.intercepts));
    return gaussian_log_density(y, mean(x, p, offset), p.log_sigmas);
  }
};

}  // namespace clearway
