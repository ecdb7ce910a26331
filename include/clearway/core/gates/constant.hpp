// Constant gate: weights that do not depend on the inputs, as in a finite mixture of regressions.
//
//   t_k(x) = b_k,   w_k = exp(b_k) / sum_l exp(b_l)
#pragma once

#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct ConstantParameters {
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("intercepts", self.intercepts);
  }
};

struct ConstantGate {
  static constexpr std::string_view kName = "constant";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = ConstantParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  ConstantParameters<A> zero_parameters(const A& like, std::ptrdiff_t /*d*/, std::ptrdiff_t k) const {
    return {filled(like, 1, k, 0.0)};
  }
  /// x n x d (only n matters) -> n x k.
  template <Array A>
  A scores(const A& x, const ConstantParameters<A>& p) const {
    check_shape("constant gate", "intercepts", p.intercepts, 1, cols(p.intercepts));
    const A zeros = filled(p.intercepts, rows(x), cols(p.intercepts), 0.0);
    return add_row(zeros, p.intercepts);
  }
  /// x n x d (only n matters) -> n x k.
  template <Array A>
  A log_weights(const A& x, const ConstantParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }
};

}  // namespace clearway
