#include "clearway/stat/tiled_matrix.hpp"

#include <algorithm>
#include <new>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace {
constexpr std::align_val_t kAlignment{64};
}

void TiledMatrix::Free::operator()(double* pointer) const {
  ::operator delete[](pointer, kAlignment);
}

void TiledMatrix::allocate(Eigen::Index rows, Eigen::Index cols) {
  rows_ = rows;
  cols_ = cols;
  const auto size = static_cast<std::size_t>(tiles() * cols * kTile);
  data_.reset(static_cast<double*>(::operator new[](std::max<std::size_t>(size, 1) * sizeof(double), kAlignment)));
  if (rows % kTile != 0) std::fill_n(data_.get() + (tiles() - 1) * cols * kTile, cols * kTile, 0.0);
}

template <class Value>
void TiledMatrix::fill(bool leading_ones, const Value& value) {
  const Eigen::Index first = leading_ones ? 1 : 0;
  for (Eigen::Index t = 0; t < tiles(); ++t) {
    const Eigen::Index row = t * kTile;
    const Eigen::Index count = std::min(kTile, rows_ - row);
    double* out = data_.get() + t * cols_ * kTile;
    if (leading_ones) std::fill_n(out, count, 1.0);
    for (Eigen::Index j = first; j < cols_; ++j)
      for (Eigen::Index i = 0; i < count; ++i) out[j * kTile + i] = value(row + i, j - first);
  }
}

TiledMatrix::TiledMatrix(const ConstMatrixRef& matrix, bool leading_ones) {
  allocate(matrix.rows(), matrix.cols() + (leading_ones ? 1 : 0));
  fill(leading_ones, [&](Eigen::Index i, Eigen::Index j) { return matrix(i, j); });
}

TiledMatrix::TiledMatrix(const ConstMatrixRef& matrix, bool leading_ones, const Vector& centre, const Vector& scale) {
  if (centre.size() != matrix.cols() || scale.size() != matrix.cols())
    user_error("centre and scale must have {} elements, not {} and {}", matrix.cols(), centre.size(), scale.size());
  allocate(matrix.rows(), matrix.cols() + (leading_ones ? 1 : 0));
  fill(leading_ones, [&](Eigen::Index i, Eigen::Index j) { return (matrix(i, j) - centre(j)) / scale(j); });
}

Matrix TiledMatrix::to_matrix() const {
  Matrix result(rows_, cols_);
  for (Eigen::Index j = 0; j < cols_; ++j)
    for (Eigen::Index i = 0; i < rows_; ++i) result(i, j) = (*this)(i, j);
  return result;
}

}  // namespace clearway
