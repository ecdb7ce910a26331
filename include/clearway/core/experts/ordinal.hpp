// Ordinal expert: cumulative logits (proportional odds, McCullagh 1980). The response is one of c ordered classes.
//
//   P(y <= s | x) = 1 / (1 + exp(-(t_s - eta))),   eta = a_k'x + b_k,   t_0 = 0,   t_s = t_(s-1) + exp(g_s), s = 1 .. c-2
//   log f_k(y = s | x) = log(P(y <= s) - P(y <= s - 1))
//
// A larger eta means a higher class. R's MASS::polr has the same slopes and thresholds zeta_s = t_s - b.
#pragma once

#include <vector>

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct OrdinalParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k
  A log_gaps;    ///< 1 x k(c-2), logarithms of the distances between thresholds, expert by expert

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("log_gaps", self.log_gaps);
  }
};

struct OrdinalExpert {
  static constexpr std::string_view kName = "ordinal";
  static constexpr Support kSupport = Support::classes;
  template <Array A>
  using Parameters = OrdinalParameters<A>;

  int classes = 2;  ///< c, at least 2

  /// Parameters of the right shapes for d inputs and k experts, all 0.
  template <Array A>
  OrdinalParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0), filled(like, 1, k * (classes - 2), 0.0)};
  }
  /// Log-probabilities of all classes, expert by expert: x n x d -> n x kc.
  template <Array A>
  A log_probabilities(const A& x, const OrdinalParameters<A>& p) const {
    if (classes < 2) user_error("ordinal expert: classes must be at least 2, not {}", classes);
    const A eta = linear_predictor("ordinal expert", x, p.slopes, p.intercepts);
    const std::ptrdiff_t inner = classes - 2;
    check_shape("ordinal expert", "log_gaps", p.log_gaps, 1, cols(eta) * inner);
    std::vector<A> parts;
    for (std::ptrdiff_t j = 0; j < cols(eta); ++j) {
      A upper = column(eta, j) * -1.0;  // t_s - eta
      parts.push_back(log_sigmoid(upper));
      for (std::ptrdiff_t s = 0; s < inner; ++s) {
        // sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - e^(l - u)), u - l = e^g.
        const A minus_lower = upper * -1.0;
        const A minus_gap = exp(column(p.log_gaps, j * inner + s)) * -1.0;
        const A remainder = exp(minus_gap) * -1.0;
        const A log_difference = log1p(remainder);
        const A gap = minus_gap * -1.0;
        upper = add_row(upper, gap);
        parts.push_back(add_row(A(log_sigmoid(upper) + log_sigmoid(minus_lower)), log_difference));
      }
      const A minus_upper = upper * -1.0;
      parts.push_back(log_sigmoid(minus_upper));
    }
    return hstack(parts);
  }
  /// Class probabilities, expert by expert: x n x d -> n x kc.
  template <Array A>
  A mean(const A& x, const OrdinalParameters<A>& p) const {
    const A log_probability = log_probabilities(x, p);
    return exp(log_probability);
  }
  /// y n x 1 of class numbers 0 .. c-1, x n x d -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const OrdinalParameters<A>& p) const {
    check_shape("ordinal expert", "response", y, rows(x), 1);
    return chosen_class(y, log_probabilities(x, p), classes);
  }
};

}  // namespace clearway
