// Binomial expert with logit link; one trial is the Bernoulli expert (logistic regression).
//
//   eta_k = a_k'x + b_k,   p_k = 1 / (1 + exp(-eta_k))
//   log f_k(y | x) = log C(m, y) + y log p_k + (m - y) log(1 - p_k),   y = 0 .. m
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct BinomialParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct BinomialExpert {
  static constexpr std::string_view kName = "binomial";
  static constexpr Support kSupport = Support::counts;
  template <Array A>
  using Parameters = BinomialParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  BinomialParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// Expected successes m p: x n x d, trials n x 1 or empty (one each) -> n x k.
  template <Array A>
  A mean(const A& x, const BinomialParameters<A>& p, const A& trials = A()) const {
    const A log_probability = log_sigmoid(linear_predictor("binomial expert", x, p.slopes, p.intercepts));
    const A probability = exp(log_probability);
    if (rows(trials) == 0) return probability;
    check_shape("binomial expert", "trials", trials, rows(x), 1);
    return mul_col(probability, trials);
  }
  /// y n x 1 (successes), x n x d, trials n x 1 or empty (one each) -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const BinomialParameters<A>& p, const A& trials = A()) const {
    check_shape("binomial expert", "response", y, rows(x), 1);
    const A m = rows(trials) == 0 ? filled(y, rows(y), 1, 1.0) : trials;
    check_shape("binomial expert", "trials", m, rows(x), 1);
    const A eta = linear_predictor("binomial expert", x, p.slopes, p.intercepts);
    const A minus_eta = -eta;
    const A failures = m - y;
    const A successes_part = mul_col(log_sigmoid(eta), y);
    const A failures_part = mul_col(log_sigmoid(minus_eta), failures);
    const A kernel = successes_part + failures_part;
    return add_col(kernel, log_choose(m, y, failures));
  }

 private:
  template <Array A>
  static A log_choose(const A& m, const A& y, const A& failures) {
    const A all = m + 1.0, taken = y + 1.0, left = failures + 1.0;
    return log_gamma(all) - log_gamma(taken) - log_gamma(left);
  }
};

}  // namespace clearway
