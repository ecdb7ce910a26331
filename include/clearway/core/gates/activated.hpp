// Activated gate: the linear score goes through a bounded function before it is tempered (Nguyen, Akbarian and Ho 2024,
// arXiv 2401.13875).
//
//   t_k(x) = (g(a_k' x) + b_k) / tau
//
// Where g and its derivatives are linearly independent functions the temperature is no free scale of the slopes: tau and
// all other parameters are estimable at polynomial rates, which is not so for a linear score. Unchanged when a constant
// is added to all intercepts.
#pragma once

#include "clearway/core/activations.hpp"
#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct ActivatedParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct ActivatedGate {
  static constexpr std::string_view kName = "activated";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = ActivatedParameters<A>;

  Activation activation{.kind = ActivationKind::tanh};  ///< g
  double temperature = 1.0;                             ///< > 0; scores are divided by it

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  ActivatedParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const ActivatedParameters<A>& p) const {
    check_temperature("activated gate", temperature);
    check_shape("activated gate", "slopes", p.slopes, cols(p.intercepts), cols(x));
    check_shape("activated gate", "intercepts", p.intercepts, 1, rows(p.slopes));
    const A zeros = filled(p.intercepts, 1, cols(p.intercepts), 0.0);
    const A linear = affine(x, p.slopes, zeros);
    const A bounded = activation.value(linear);
    const A shifted = add_row(bounded, p.intercepts);
    return shifted * (1.0 / temperature);
  }
  /// x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const ActivatedParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }
};

}  // namespace clearway
