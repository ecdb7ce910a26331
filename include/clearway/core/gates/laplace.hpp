// Laplace gate: log-weight falls with the distance to a centre (FuseMoE: Han et al. 2024, arXiv 2402.03226).
//
//   t_k(x) = b_k - r(x, c_k) / tau,   r = sqrt(|x - c_k|^2 + eps^2) - eps
//
// eps smooths the kink at x = c_k, where the distance has no derivative; eps = 0 is the published gate. Subtracting eps
// keeps t_k = b_k at the centre and changes no weight. |t_k - t_l| is bounded by |b_k - b_l| + |c_k - c_l| / tau
// whatever the input. Unchanged when a constant is added to all intercepts.
#pragma once

#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct LaplaceParameters {
  A centres;     ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("centres", self.centres);
    field("intercepts", self.intercepts);
  }
};

struct LaplaceGate {
  static constexpr std::string_view kName = "laplace";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = LaplaceParameters<A>;

  double temperature = 1.0;  ///< > 0; distances are divided by it
  double smoothing = 1e-6;   ///< eps >= 0, in the units of x; 0 switches smoothing off

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  LaplaceParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const LaplaceParameters<A>& p) const {
    check_temperature("laplace gate", temperature);
    if (!(smoothing >= 0)) user_error("laplace gate: smoothing must be at least 0, not {}", smoothing);
    check_shape("laplace gate", "centres", p.centres, cols(p.intercepts), cols(x));
    check_shape("laplace gate", "intercepts", p.intercepts, 1, rows(p.centres));
    const A squared = squared_distances(x, p.centres);
    const A distance = sqrt(squared + smoothing * smoothing) - smoothing;
    const A minus = distance * (-1.0 / temperature);
    return add_row(minus, p.intercepts);
  }
  /// x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const LaplaceParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }
};

}  // namespace clearway
