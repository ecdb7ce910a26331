// Cosine gate: log-weight is the cosine between the input and the direction of an expert (XMoE: Chi et al. 2022, arXiv
// 2204.09179); with a perturbation of the norms the perturbed cosine router (Nguyen et al. 2024, arXiv 2405.14131).
//
//   t_k(x) = b_k + c_k' x / (tau (|c_k| + theta) (|x| + theta)),   |v| = sqrt(v'v + eps^2)
//
// theta = 0 is the plain cosine: the length of c_k changes no weight, which is what slows its estimation down.
// theta > 0 lets the length count: |c_k| / (|c_k| + theta) scales the cosine between 0 and 1. eps keeps the derivative
// at v = 0. |t_k - b_k| is at most 1 / tau. Unchanged when a constant is added to all intercepts.
#pragma once

#include "clearway/core/gates/gate.hpp"

namespace clearway {

template <Array A>
struct CosineParameters {
  A directions;  ///< k x d
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("directions", self.directions);
    field("intercepts", self.intercepts);
  }
};

struct CosineGate {
  static constexpr std::string_view kName = "cosine";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = CosineParameters<A>;

  double temperature = 1.0;   ///< > 0; cosines are divided by it
  double perturbation = 0.1;  ///< theta >= 0, added to both norms; 0 switches the perturbation off
  double smoothing = 1e-9;    ///< eps > 0, in the units of x

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  CosineParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, d, 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const CosineParameters<A>& p) const {
    check_temperature("cosine gate", temperature);
    if (!(perturbation >= 0)) user_error("cosine gate: perturbation must be at least 0, not {}", perturbation);
    if (!(smoothing > 0)) user_error("cosine gate: smoothing must be positive, not {}", smoothing);
    check_shape("cosine gate", "directions", p.directions, cols(p.intercepts), cols(x));
    check_shape("cosine gate", "intercepts", p.intercepts, 1, rows(p.directions));
    const A units = mul_col(p.directions, inverse_norms(p.directions));
    const A zeros = filled(p.intercepts, 1, cols(p.intercepts), 0.0);
    const A products = affine(x, units, zeros);
    const A cosines = mul_col(products, inverse_norms(x));
    const A scaled = cosines * (1.0 / temperature);
    return add_row(scaled, p.intercepts);
  }
  /// x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const CosineParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }

 private:
  /// 1 / (|row| + theta): n x d -> n x 1.
  template <Array A>
  A inverse_norms(const A& a) const {
    const A squares = square(a);
    const A squared = sum_rows(squares) + smoothing * smoothing;
    const A norms = sqrt(squared) + perturbation;
    const A ones = filled(a, rows(a), 1, 1.0);
    return ones / norms;
  }
};

}  // namespace clearway
