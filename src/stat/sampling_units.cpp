#include "sampling_units.hpp"

#include <unordered_map>

namespace clearway::detail {

SamplingUnits::SamplingUnits(const std::vector<int>& numbers, Eigen::Index row_count) {
  std::unordered_map<int, std::size_t> unit_of_number;
  for (Eigen::Index t = 0; t < row_count; ++t) {
    std::size_t unit = rows.size();
    if (!numbers.empty()) unit = unit_of_number.try_emplace(numbers[static_cast<std::size_t>(t)], unit).first->second;
    if (unit == rows.size()) rows.emplace_back();
    rows[unit].push_back(t);
    unit_of_row.push_back(unit);
  }
}

Matrix SamplingUnits::sums(const Matrix& by_row) const {
  Matrix total = Matrix::Zero(static_cast<Eigen::Index>(rows.size()), by_row.cols());
  for (Eigen::Index t = 0; t < by_row.rows(); ++t)
    total.row(static_cast<Eigen::Index>(unit_of_row[static_cast<std::size_t>(t)])) += by_row.row(t);
  return total;
}

}  // namespace clearway::detail
