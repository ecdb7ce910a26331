// Experts and gates as rows of coefficients that can be compared one by one.
#pragma once

#include "clearway/core/mixing_measure.hpp"
#include "clearway/stat/compare.hpp"

namespace clearway {

/// Coefficients of a gate, one row per expert.
struct GateBlocks {
  Matrix intercepts;                ///< k x 1
  Matrix slopes;                    ///< k x q slopes, centres or quadratic form; k x 0 for a constant gate
  bool intercepts_relative = true;  ///< only differences of intercepts mean anything
  bool slopes_relative = true;      ///< only differences of slopes mean anything (softmax; not centres)
  bool comparable = true;           ///< false where a model has many parameter vectors (low-rank forms, factors' signs)
};
GateBlocks gate_blocks(const Gate& gate);

/// Coefficients of the means, intercepts included, noise parameters left out: k x p. Requires no network experts.
Matrix mean_coefficients(const std::vector<Expert>& experts);
/// The same without intercepts: k x (p - number of means).
Matrix regressors(const std::vector<Expert>& experts);

/// A model as a mixing measure. Expert intercepts beyond the first (several responses, classes) follow the slopes.
/// Variances are those of experts with a noise level.
MixingMeasure mixing_measure(const MixtureModel& model);

/// Fills cells and losses of `result`.
void compare_voronoi(const MixtureModel& fitted, const MixtureModel& truth, Comparison& result);

}  // namespace clearway
