// Between torch's tensors and our own rows and matrices.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway::train {

/// Row numbers as a tensor of their own memory.
inline torch::Tensor row_tensor(const std::vector<std::int64_t>& rows) {
  return at::from_blob(const_cast<std::int64_t*>(rows.data()), {static_cast<std::int64_t>(rows.size())}, at::kLong)
      .clone();
}

/// A tensor of one or two axes as a matrix; one axis becomes a column.
inline Matrix to_matrix(const torch::Tensor& tensor) {
  const torch::Tensor whole = tensor.to(at::kDouble).contiguous();
  return Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
      whole.data_ptr<double>(), whole.size(0), whole.dim() > 1 ? whole.size(1) : 1);
}

}  // namespace clearway::train
