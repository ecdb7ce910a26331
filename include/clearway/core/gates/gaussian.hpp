// Gaussian gate: the posterior weights of a Gaussian mixture over the inputs (localised mixture of experts: Xu, Jordan
// and Hinton 1995).
//
//   w_k(x) = pi_k N(x; c_k, S_k) / sum_l pi_l N(x; c_l, S_l),   S_k^-1 = L_k L_k'
//   t_k(x) = b_k + log|L_k| - |L_k'(x - c_k)|^2 / 2             (b_k = log pi_k up to a common constant)
//
// It is a quadratic gate with other coordinates, and a softmax gate when all L_k are equal. Unchanged when a constant
// is added to all intercepts.
#pragma once

#include <vector>

#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct GaussianGateParameters {
  A centres;     ///< k x d
  A factors;     ///< k x d(d+1)/2: lower Cholesky factor of the precision by columns, diagonal as logarithm
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("centres", self.centres);
    field("factors", self.factors);
    field("intercepts", self.intercepts);
  }
};

struct GaussianGate {
  static constexpr std::string_view kName = "gaussian";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = GaussianGateParameters<A>;

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  GaussianGateParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, k, d * (d + 1) / 2, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const GaussianGateParameters<A>& p) const {
    const std::ptrdiff_t d = cols(x), k = cols(p.intercepts);
    check_shape("gaussian gate", "intercepts", p.intercepts, 1, rows(p.centres));
    check_shape("gaussian gate", "centres", p.centres, k, d);
    check_shape("gaussian gate", "factors", p.factors, k, d * (d + 1) / 2);
    std::vector<A> score_columns;
    for (std::ptrdiff_t expert = 0; expert < k; ++expert) {
      const A packed = row(p.factors, expert);
      const A minus_centre = -row(p.centres, expert);
      const A centred = add_row(x, minus_centre);
      const A whitened = matmul(centred, lower_triangle(packed, d));  // row i: (L'(x_i - c))'
      const A squares = square(whitened);
      const A half = sum_rows(squares) * -0.5;
      score_columns.push_back(add_row(half, log_scale(packed, d)));
    }
    return add_row(hstack(score_columns), p.intercepts);
  }
  /// x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const GaussianGateParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }

 private:
  /// log|L| of a packed factor: the sum of its log diagonal, 1 x 1.
  template <Array A>
  static A log_scale(const A& packed, std::ptrdiff_t d) {
    A total = filled(packed, 1, 1, 0.0);
    for (std::ptrdiff_t j = 0, at = 0; j < d; at += d - j, ++j) total = total + column(packed, at);
    return total;
  }
};

}  // namespace clearway
