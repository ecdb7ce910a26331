// The units that are drawn or left out together: rows, groups of repeated measures, or clusters that the caller names.
#pragma once

#include <vector>

#include "clearway/stat/mixture_model.hpp"

namespace clearway::detail {

struct SamplingUnits {
  /// Rows of every unit, units by first appearance.
  std::vector<std::vector<Eigen::Index>> rows;
  std::vector<std::size_t> unit_of_row;

  /// One unit per distinct number; one per row when `numbers` is empty.
  SamplingUnits(const std::vector<int>& numbers, Eigen::Index row_count);

  std::size_t size() const { return rows.size(); }
  /// Sums of the rows of every unit: n x p -> units x p.
  Matrix sums(const Matrix& by_row) const;
};

}  // namespace clearway::detail
