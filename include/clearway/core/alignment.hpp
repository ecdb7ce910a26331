// Alignment of fitted to true (or to other fitted) experts: the numbering of experts is arbitrary, so errors are taken
// over the best matching.
#pragma once

#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// The matching of least total cost: entry j is the row matched to column j. cost is k x k, finite.
/// Kuhn's Hungarian method by shortest augmenting paths, O(k^3).
std::vector<int> optimal_assignment(const ConstMatrixRef& cost);

/// The matching whose largest cost is least; among those, one of least total cost. Entry j is the row of column j.
/// cost is k x k, finite.
std::vector<int> bottleneck_assignment(const ConstMatrixRef& cost);

/// Distances |fitted_i - truth_j| / |truth_j| between rows (absolute where |truth_j| is 0): k x p, k x p -> k x k.
Matrix relative_distances(const ConstMatrixRef& fitted, const ConstMatrixRef& truth);

/// A matching and its error.
struct Alignment {
  std::vector<int> order;  ///< order[j]: the fitted expert that plays the part of true expert j
  double error = 0;
};

/// Regressor error: min over matchings of max_j |a_fit - a_j| / |a_j|, with that matching. Rows are experts, k x p.
Alignment align_regressors(const ConstMatrixRef& fitted, const ConstMatrixRef& truth);

/// Gate error under a matching: with both gates translated so that the last true expert's row is 0, the relative
/// Frobenius distance |fitted - truth| / |truth| (absolute where the truth is 0). Rows are experts, k x q.
double gate_error(const ConstMatrixRef& fitted, const ConstMatrixRef& truth, const std::vector<int>& order);

/// Noise error under a matching: max_j |sigma_fit / sigma_j - 1|.
double noise_error(const ConstVectorRef& fitted, const ConstVectorRef& truth, const std::vector<int>& order);

/// Rows in the order of a matching: row j of the result is row order[j].
Matrix reordered(const ConstMatrixRef& rows, const std::vector<int>& order);

}  // namespace clearway
