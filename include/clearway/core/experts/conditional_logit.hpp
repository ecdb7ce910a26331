// Conditional logit expert: the response is the one of c alternatives that was chosen, explained by attributes of the
// alternatives (McFadden 1974).
//
//   eta_ks = a_ks'z + b_ks + sum_v beta_kv (x_vs - x_v,c-1) for classes s = 0 .. c-2, eta = 0 for the last class
//   log f_k(y = s | x) = eta_ks - log sum_r exp(eta_kr)
//
// beta_kv is the same for all classes, b_ks are the constants of the alternatives, z are inputs that belong to no
// alternative. It is the multinomial expert under linear constraints. The columns of x are those of z, then attribute by
// attribute one for each class. Slopes and intercepts are stacked as those of the multinomial expert.
#pragma once

#include "clearway/core/experts/multinomial.hpp"

namespace clearway {

template <Array A>
struct ConditionalLogitParameters {
  A attribute_slopes;  ///< k x v
  A slopes;            ///< k(c-1) x (d - vc)
  A intercepts;        ///< 1 x k(c-1)

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("attribute_slopes", self.attribute_slopes);
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct ConditionalLogitExpert {
  static constexpr std::string_view kName = "conditional logit";
  static constexpr Support kSupport = Support::classes;
  template <Array A>
  using Parameters = ConditionalLogitParameters<A>;

  int classes = 2;  ///< c, at least 2

  /// Parameters of the right shapes for d inputs, the last vc of them those of v attributes, and k experts, all 0.
  template <Array A>
  ConditionalLogitParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k,
                                                std::ptrdiff_t v) const {
    return {filled(like, k, v, 0.0), filled(like, k * (classes - 1), d - v * classes, 0.0),
            filled(like, 1, k * (classes - 1), 0.0)};
  }
  /// Log-probabilities of all classes, expert by expert: x n x d -> n x kc.
  template <Array A>
  A log_probabilities(const A& x, const ConditionalLogitParameters<A>& p) const {
    if (classes < 2) user_error("conditional logit expert: classes must be at least 2, not {}", classes);
    const std::ptrdiff_t free = classes - 1, k = rows(p.attribute_slopes), v = cols(p.attribute_slopes);
    const std::ptrdiff_t plain = cols(x) - v * classes;
    if (plain < 0)
      user_error("conditional logit expert: {} attributes of {} classes need {} inputs, not {}", v, classes,
                 v * classes, cols(x));
    check_shape("conditional logit expert", "slopes", p.slopes, k * free, plain);
    check_shape("conditional logit expert", "intercepts", p.intercepts, 1, k * free);
    const A eta = plain > 0 ? linear_predictor("conditional logit expert", columns(x, 0, plain), p.slopes, p.intercepts)
                            : add_row(filled(x, rows(x), k * free, 0.0), p.intercepts);
    if (v == 0) return with_reference(eta, free);
    std::vector<A> by_class;  // n x k each
    for (std::ptrdiff_t s = 0; s < free; ++s) {
      std::vector<A> differences;
      for (std::ptrdiff_t first = plain; first < cols(x); first += classes)
        differences.push_back(column(x, first + s) - column(x, first + free));
      by_class.push_back(affine(hstack(differences), p.attribute_slopes, filled(x, 1, k, 0.0)));
    }
    std::vector<A> by_expert;
    for (std::ptrdiff_t j = 0; j < k; ++j)
      for (const A& part : by_class) by_expert.push_back(column(part, j));
    const A total = eta + hstack(by_expert);
    return with_reference(total, free);
  }
  /// Class probabilities, expert by expert: x n x d -> n x kc.
  template <Array A>
  A mean(const A& x, const ConditionalLogitParameters<A>& p) const {
    const A log_probability = log_probabilities(x, p);
    return exp(log_probability);
  }
  /// y n x 1 of class numbers 0 .. c-1, x n x d -> n x k.
  template <Array A>
  A log_density(const A& y, const A& x, const ConditionalLogitParameters<A>& p) const {
    check_shape("conditional logit expert", "response", y, rows(x), 1);
    return chosen_class(y, log_probabilities(x, p), classes);
  }
};

}  // namespace clearway
