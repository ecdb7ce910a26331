// Poisson expert with log link: counts.
//
//   eta_k = a_k'x + b_k + offset,   log f_k(y | x) = y eta_k - exp(eta_k) - log y!,   y = 0, 1, 2 ...
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct PoissonParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct PoissonExpert {
  static constexpr std::string_view kName = "poisson";
  static constexpr Support kSupport = Support::counts;
  template <Array A>
  using Parameters = PoissonParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  PoissonParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// exp(eta): x n x d, offset n x 1 (log exposure) or empty -> n x k.
  template <Array A>
  A mean(const A& x, const PoissonParameters<A>& p, const A& offset = A()) const {
    const A eta = linear_predictor("poisson expert", x, p.slopes, p.intercepts, offset);
    return exp(eta);
  }
  /// y n x 1 (counts), x n x d, offset n x 1 (log exposure) or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const PoissonParameters<A>& p, const A& offset = A()) const {
    check_shape("poisson expert", "response", y, rows(x), 1);
    const A eta = linear_predictor("poisson expert", x, p.slopes, p.intercepts, offset);
    const A kernel = mul_col(eta, y) - exp(eta);
    const A y_plus_one = y + 1.0;
    const A minus_log_factorial = -log_gamma(y_plus_one);
    return add_col(kernel, minus_log_factorial);
  }
};

}  // namespace clearway
