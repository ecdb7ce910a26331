// Borders of a top-1 gate with linear scores, by exact line searches.
//
// A row belongs wholly to the expert with the largest score theta_k . phi(x), so with the experts given the likelihood is
// a sum over rows of the value of the row to the expert that wins it, piecewise constant in theta: no derivative shows
// the way. Along a line theta_j + t delta, however, a row changes hands at one known t only,
//   t_i = (max_{k != j} theta_k . phi_i - theta_j . phi_i) / (delta . phi_i),
// so that sorting the t_i gives the best t of all (as in exact coordinate search for the 0-1 loss of linear classifiers;
// Nguyen and Sanner 2013, "Algorithms for direct 0-1 loss optimization in binary classification").
#pragma once

#include <vector>

#include "clearway/core/types.hpp"

namespace clearway::detail {

/// Moves the scores of a top-1 gate to where the rows are worth more. `features` n x p; `values` n x k: what row i is
/// worth to expert j, case weights included; `free` p x k, 0 where a parameter is fixed; `theta` p x k is improved.
/// Tries every free coordinate and some fixed random directions until none helps. Returns whether it moved.
bool search_borders(const Matrix& features, const Matrix& values, const Matrix& free, Matrix& theta);

}  // namespace clearway::detail
