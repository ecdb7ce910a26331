// A matrix of doubles cut into tiles of a few rows, so that one vector register holds one column of several rows.
//
// Row i, column j lies at tile(i / kTile) + j * kTile + i % kTile: the layout [ceil(n / kTile)][d][kTile]. One pass
// over the rows then reads memory strictly forward, and every dot product of a row is a sum over whole registers,
// without any horizontal addition. Rows missing in the last tile are zero.
#pragma once

#include <cstddef>
#include <memory>

#include "clearway/core/types.hpp"

namespace clearway {

/// n x d matrix of doubles in tiles of kTile rows, 64-byte aligned. Movable, not copyable (data sets are large).
class TiledMatrix {
 public:
  static constexpr Eigen::Index kTile = 16;  ///< rows per tile: two AVX-512 registers, four of AVX2

  TiledMatrix() = default;
  /// Copies `matrix` (n x d; a vector is n x 1); with `leading_ones` a column of ones comes first, cols() is d + 1.
  explicit TiledMatrix(const ConstMatrixRef& matrix, bool leading_ones = false);
  /// The same for (matrix - centre) / scale, column by column: standardises without a second copy of the data.
  /// Throws std::invalid_argument when centre and scale do not have d elements.
  TiledMatrix(const ConstMatrixRef& matrix, bool leading_ones, const Vector& centre, const Vector& scale);

  Eigen::Index rows() const { return rows_; }
  Eigen::Index cols() const { return cols_; }
  Eigen::Index tiles() const { return (rows_ + kTile - 1) / kTile; }
  /// Tile t: cols() groups of kTile consecutive doubles.
  const double* tile(Eigen::Index t) const { return data_.get() + t * cols_ * kTile; }
  double operator()(Eigen::Index row, Eigen::Index col) const { return tile(row / kTile)[col * kTile + row % kTile]; }
  /// The matrix in the ordinary layout, n x cols().
  Matrix to_matrix() const;

 private:
  void allocate(Eigen::Index rows, Eigen::Index cols);
  template <class Value>
  void fill(bool leading_ones, const Value& value);

  struct Free {
    void operator()(double* pointer) const;
  };
  std::unique_ptr<double[], Free> data_;
  Eigen::Index rows_ = 0;
  Eigen::Index cols_ = 0;
};

}  // namespace clearway
