// The score of every row: what robust covariances are made of.
#pragma once

#include "em_engine.hpp"

namespace clearway::detail {

/// 1 for the first row of every group, 0 for its others.
Vector first_of_group(const std::vector<int>& groups);

/// d log p(y_t | x_t) / d theta for every row of a block on the working scale, theta the free parameters of `map`:
/// n x map.size, not multiplied by case weights and without penalty. By Fisher's identity a row is the complete-data
/// score averaged over the responsibilities (n x k, with noise n x (k + 1)). `gate_speaks` is 1 for the rows whose
/// expert the gate chose and 0 for further rows of a group (repeated measures); empty: all 1.
Matrix score_rows(const MixtureModel& model, const ParameterMap& map, const Data& block, const Matrix& responsibilities,
                  const Vector& gate_speaks = {});

/// sum over clusters of (sum_{t in cluster} w_t s_t)(...)', map.size x map.size; without clusters every row is its own,
/// or every group where there are groups. `responsibilities` are those of all rows. Sums are taken block by block in a
/// fixed order, so that the result does not depend on the number of threads.
Matrix score_crossproduct(const Data& data, const Scaling& scaling, const MixtureModel& model, const ParameterMap& map,
                          const Matrix& responsibilities, const std::vector<int>& clusters, int threads);

}  // namespace clearway::detail
