// Sigmoid gate: every expert has its own sigmoid (Nguyen, Ho and Rinaldo 2024, arXiv 2405.13997).
//
//   s_k(x) = 1 / (1 + exp(-(b_k + a_k' x) / tau))
//   independent weights  s_k        (they do not sum to 1: no density, for least squares)
//   normalised weights   s_k / sum_l s_l,   that is t_k = log s_k
//
// No translation leaves the weights unchanged: the experts' intercepts are identified one by one.
#pragma once

#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct SigmoidParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct SigmoidGate {
  static constexpr std::string_view kName = "sigmoid";
  static constexpr bool kShiftInvariant = false;  ///< every intercept is identified
  template <Array A>
  using Parameters = SigmoidParameters<A>;

  double temperature = 1.0;  ///< > 0; linear scores are divided by it

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  SigmoidParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// log s_k: x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const SigmoidParameters<A>& p) const {
    check_temperature("sigmoid gate", temperature);
    check_shape("sigmoid gate", "slopes", p.slopes, cols(p.intercepts), cols(x));
    check_shape("sigmoid gate", "intercepts", p.intercepts, 1, rows(p.slopes));
    const A linear = affine(x, p.slopes, p.intercepts);
    const A scaled = linear * (1.0 / temperature);
    return log_sigmoid(scaled);
  }
  /// Normalised: rows of exp() sum to 1. x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const SigmoidParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }
  /// s_k itself, each between 0 and 1: x n x d -> n x k.
  template <Array A>
  A independent_weights(const A& x, const SigmoidParameters<A>& p) const {
    const A log_weight = scores(x, p);
    return exp(log_weight);
  }
};

}  // namespace clearway
