// Multinomial logit expert: the response is one of c classes.
//
//   eta_ks = a_ks'x + b_ks for classes s = 0 .. c-2, eta = 0 for the last class (the reference)
//   log f_k(y = s | x) = eta_ks - log sum_r exp(eta_kr)
//
// Parameters are stacked expert by expert, class by class: row (k (c-1) + s) of the slopes belongs to expert k, class
// s.
#pragma once

#include <vector>

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct MultinomialParameters {
  A slopes;      ///< k(c-1) x d
  A intercepts;  ///< 1 x k(c-1)

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

/// Log-probabilities from the linear predictors of all classes but the last: n x kf -> n x k(f + 1).
template <Array A>
A with_reference(const A& eta, std::ptrdiff_t free) {
  const A reference = filled(eta, rows(eta), 1, 0.0);
  std::vector<A> parts;
  for (std::ptrdiff_t first = 0; first < cols(eta); first += free) {
    const A all = hstack(std::vector<A>{columns(eta, first, free), reference});
    const A minus_log_total = -logsumexp_rows(all);
    parts.push_back(add_col(all, minus_log_total));
  }
  return hstack(parts);
}

struct MultinomialExpert {
  static constexpr std::string_view kName = "multinomial";
  static constexpr Support kSupport = Support::classes;
  template <Array A>
  using Parameters = MultinomialParameters<A>;

  int classes = 2;  ///< c, at least 2

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  MultinomialParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k * (classes - 1), d, 0.0), filled(like, 1, k * (classes - 1), 0.0)};
  }
  /// Log-probabilities of all classes, expert by expert: x n x d -> n x kc.
  template <Array A>
  A log_probabilities(const A& x, const MultinomialParameters<A>& p) const {
    if (classes < 2) user_error("multinomial expert: classes must be at least 2, not {}", classes);
    const std::ptrdiff_t free = classes - 1;
    if (cols(p.intercepts) % free != 0)
      user_error("multinomial expert: intercepts must be a multiple of classes - 1 = {}, not {}", free,
                 cols(p.intercepts));
    return with_reference(linear_predictor("multinomial expert", x, p.slopes, p.intercepts), free);
  }
  /// Class probabilities, expert by expert: x n x d -> n x kc.
  template <Array A>
  A mean(const A& x, const MultinomialParameters<A>& p) const {
    const A log_probability = log_probabilities(x, p);
    return exp(log_probability);
  }
  /// y n x 1 of class numbers 0 .. c-1, x n x d -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const MultinomialParameters<A>& p) const {
    check_shape("multinomial expert", "response", y, rows(x), 1);
    return chosen_class(y, log_probabilities(x, p), classes);
  }
};

}  // namespace clearway
