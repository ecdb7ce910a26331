// A mixing measure: a mixture of experts as weighted atoms, the form in which theory compares a fit with the truth.
//
//   G = sum_i w(b0_i) delta(b1_i, a_i, c_i, nu_i),   w = exp (softmax, Laplace) or the sigmoid
#pragma once

#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// k atoms. Rows are atoms.
struct MixingMeasure {
  Vector gate_intercepts;    ///< b0, k
  Matrix gate_slopes;        ///< b1, k x q (Laplace gate: the centres)
  Matrix expert_slopes;      ///< a, k x d
  Vector expert_intercepts;  ///< c, k
  Vector variances;          ///< nu, k; empty when there is no noise level

  int size() const { return static_cast<int>(gate_intercepts.size()); }
  /// Throws std::invalid_argument naming the first part whose shape does not fit.
  void check() const;
};

/// The measure with (t0, t1) added to every gate row; a softmax gate's weights do not change. t1 has q elements.
MixingMeasure translated(const MixingMeasure& measure, double t0, const ConstVectorRef& t1);

/// The translation of the measure whose atom `reference` has gate intercept and slopes 0.
MixingMeasure translated_to_zero(const MixingMeasure& measure, int reference);

}  // namespace clearway
