#include "clearway/stat/tiled_matrix.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "clearway/base/errors.hpp"

namespace clearway {

namespace {

// Memory for so many doubles on a cache line; large matrices on huge pages where the system has them, which spares
// address look-ups (a fifth of the time of a pass at d = 50, n = 1e5).
double* aligned_doubles(std::size_t count) {
  constexpr std::size_t kCacheLine = 64, kHugePage = std::size_t{1} << 21;
  const std::size_t bytes = std::max<std::size_t>(count, 1) * sizeof(double);
  const std::size_t alignment = bytes >= 4 * kHugePage ? kHugePage : kCacheLine;
  const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, whole);
  if (!memory) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kHugePage) madvise(memory, whole, MADV_HUGEPAGE);  // a wish: failure changes nothing
#endif
  return static_cast<double*>(memory);
}

}  // namespace

void TiledMatrix::Free::operator()(double* pointer) const {
  std::free(pointer);
}

void TiledMatrix::allocate(Eigen::Index rows, Eigen::Index cols) {
  rows_ = rows;
  cols_ = cols;
  data_.reset(aligned_doubles(static_cast<std::size_t>(tiles() * cols * kTile)));
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
