// Negative binomial expert (NB2) with log link: counts whose variance exceeds the mean.
//
//   mu_k = exp(a_k'x + b_k + offset),   size theta_k,   Var[y | x] = mu + mu^2 / theta
//   log f_k(y | x) = log Gamma(y + theta) - log Gamma(theta) - log y! + theta log(theta / (theta + mu))
//                    + y log(mu / (theta + mu)),   y = 0, 1, 2 ...
//
// As theta grows it becomes the Poisson expert. The difference of the log Gammas then loses digits, about 1e-16 theta log
// theta: keep theta below 1e6 here (the stat floor has a form without the loss).
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct NegativeBinomialParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_sizes;   ///< 1 x k, logarithm of theta

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_sizes", self.log_sizes);
  }
};

struct NegativeBinomialExpert {
  static constexpr std::string_view kName = "negative-binomial";
  static constexpr Support kSupport = Support::counts;
  template <Array A>
  using Parameters = NegativeBinomialParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  NegativeBinomialParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k, 0.0)};
  }
  /// exp(eta): x n x d, offset n x 1 (log exposure) or empty -> n x k.
  template <Array A>
  A mean(const A& x, const NegativeBinomialParameters<A>& p, const A& offset = A()) const {
    const A eta = linear_predictor("negative-binomial expert", x, p.slopes, p.intercepts, offset);
    return exp(eta);
  }
  /// y n x 1 (counts), x n x d, offset n x 1 (log exposure) or empty -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const NegativeBinomialParameters<A>& p, const A& offset = A()) const {
    check_shape("negative-binomial expert", "response", y, rows(x), 1);
    check_shape("negative-binomial expert", "log_sizes", p.log_sizes, 1, cols(p.intercepts));
    const A eta = linear_predictor("negative-binomial expert", x, p.slopes, p.intercepts, offset);
    const A size = exp(p.log_sizes);
    // With u = eta - log theta: log(mu / (theta + mu)) = log_sigmoid(u), log(theta / (theta + mu)) = log_sigmoid(-u).
    const A minus_log_sizes = -p.log_sizes;
    const A u = add_row(eta, minus_log_sizes);
    const A minus_u = -u;
    const A kernel = mul_col(log_sigmoid(u), y) + mul_row(log_sigmoid(minus_u), size);
    const A zeros = filled(y, rows(y), cols(p.intercepts), 0.0);
    const A total = add_row(add_col(zeros, y), size);
    const A minus_log_gamma_size = -log_gamma(size);
    const A y_plus_one = y + 1.0;
    const A minus_log_factorial = -log_gamma(y_plus_one);
    return add_col(add_row(A(kernel + log_gamma(total)), minus_log_gamma_size), minus_log_factorial);
  }
};

}  // namespace clearway
