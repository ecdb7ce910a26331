// Softmax gate: log-weight linear in the inputs (Jacobs, Jordan, Nowlan and Hinton 1991).
//
//   t_k(x) = (b_k + a_k' x) / tau,   w_k = exp(t_k) / sum_l exp(t_l)
//
// Unchanged when one row (b, a) is added to all experts: identifiable only up to that translation. The temperature tau
// is fixed, because beside a linear score it is a free scale (Nguyen et al. 2024, arXiv 2401.13875).
#pragma once

#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct SoftmaxParameters {
  A slopes;      ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
  }
};

struct SoftmaxGate {
  static constexpr std::string_view kName = "softmax";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = SoftmaxParameters<A>;

  double temperature = 1.0;  ///< > 0; scores are divided by it

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  SoftmaxParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const SoftmaxParameters<A>& p) const {
    check_temperature("softmax gate", temperature);
    check_shape("softmax gate", "slopes", p.slopes, cols(p.intercepts), cols(x));
    check_shape("softmax gate", "intercepts", p.intercepts, 1, rows(p.slopes));
    const A linear = affine(x, p.slopes, p.intercepts);
    return linear * (1.0 / temperature);
  }
  /// x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const SoftmaxParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }
};

}  // namespace clearway
