// The products kernel of em_pass: many weighted Gram matrices of the same rows at once. A register block holds the sums
// of M weights times P neighbouring pairs (i, j), (i, j + 1) ..: every product a_i b_j is formed once per M weights.
#pragma once

#include "clearway/stat/tiled_matrix.hpp"
#include "em_pass_kernels.hpp"
#include "simd.hpp"

namespace clearway::detail {

/// out[m * stride + u] += sum over rows of weight_m a b_u, m < M, u < P. Without a (UnitA): a = 1.
template <int W, int M, int P, bool UnitA>
CLEARWAY_INLINE void register_block(const double* a, std::size_t a_step, const double* b, std::size_t b_step,
                                    const double* weight, std::size_t weight_step, std::size_t tiles, double* out,
                                    std::size_t stride) {
  using Real = typename Simd<W>::Real;
  constexpr std::size_t kRows = TiledMatrix::kTile;
  Real sum[M][P] = {};
  for (std::size_t t = 0; t < tiles; ++t) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kRows; v += W) {
      Real w[M];
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) w[m] = load<W>(weight + m * kRows + v);
      Real left{};
      if constexpr (!UnitA) left = load<W>(a + v);
#pragma GCC unroll 8
      for (int u = 0; u < P; ++u) {
        Real pair = load<W>(b + u * kRows + v);
        if constexpr (!UnitA) pair *= left;
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) sum[m][u] += w[m] * pair;
      }
    }
    if constexpr (!UnitA) a += a_step;
    b += b_step;
    weight += weight_step;
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int u = 0; u < P; ++u) out[m * stride + u] += lane_sum<W>(sum[m][u]);
}

/// Largest register block: M * P sums beside the operands, in 32 registers of 512 bits or 16 smaller ones.
template <int W>
struct RegisterPlan {
  static constexpr int kFewPairs = 3;                  ///< up to so many pairs, more weights fit
  static constexpr int kPairs = W == 8 ? 6 : 5;        ///< most pairs
  static constexpr int kWeights = W == 8 ? 4 : 2;      ///< weights beside kPairs
  static constexpr int kManyWeights = W == 8 ? 8 : 4;  ///< weights beside kFewPairs
};

template <int W, int P, bool UnitA>
CLEARWAY_INLINE void all_weights(const ProductsBlock& b, const double* a, const double* column, double* out) {
  constexpr int kMost = P <= RegisterPlan<W>::kFewPairs ? RegisterPlan<W>::kManyWeights : RegisterPlan<W>::kWeights;
  constexpr std::size_t kRows = TiledMatrix::kTile;
  const std::size_t a_step = b.a_cols * kRows, b_step = b.b_cols * kRows;
  std::size_t m = 0;
  for (; m + kMost <= b.weights; m += kMost)
    register_block<W, kMost, P, UnitA>(a, a_step, column, b_step, b.record + m * kRows, b.record_stride, b.tiles,
                                       out + m * b.out_stride, b.out_stride);
  if constexpr (kMost > 4)
    for (; m + 4 <= b.weights; m += 4)
      register_block<W, 4, P, UnitA>(a, a_step, column, b_step, b.record + m * kRows, b.record_stride, b.tiles,
                                     out + m * b.out_stride, b.out_stride);
  if constexpr (kMost > 2)
    for (; m + 2 <= b.weights; m += 2)
      register_block<W, 2, P, UnitA>(a, a_step, column, b_step, b.record + m * kRows, b.record_stride, b.tiles,
                                     out + m * b.out_stride, b.out_stride);
  for (; m < b.weights; ++m)
    register_block<W, 1, P, UnitA>(a, a_step, column, b_step, b.record + m * kRows, b.record_stride, b.tiles,
                                   out + m * b.out_stride, b.out_stride);
}

/// Pairs (i, j) for one i and j in [first, b_cols); `out` is the place of (i, first).
template <int W, bool UnitA>
CLEARWAY_INLINE void one_row(const ProductsBlock& b, const double* a, std::size_t first, double* out) {
  constexpr int kPairs = RegisterPlan<W>::kPairs;
  constexpr std::size_t kRows = TiledMatrix::kTile;
  const double* column = b.b + first * kRows;
  std::size_t left = b.b_cols - first;
  // Never leave one or two pairs alone after a full block where two middling blocks would do.
  while (left > 0) {
    if (left >= kPairs + 3 || left == kPairs) {
      all_weights<W, kPairs, UnitA>(b, a, column, out);
      column += kPairs * kRows, out += kPairs, left -= kPairs;
      continue;
    }
    const std::size_t take = left > kPairs ? left / 2 : left;
    switch (take) {
      case 5:
        all_weights<W, 5, UnitA>(b, a, column, out);
        break;
      case 4:
        all_weights<W, 4, UnitA>(b, a, column, out);
        break;
      case 3:
        all_weights<W, 3, UnitA>(b, a, column, out);
        break;
      case 2:
        all_weights<W, 2, UnitA>(b, a, column, out);
        break;
      default:
        all_weights<W, 1, UnitA>(b, a, column, out);
        break;
    }
    column += take * kRows, out += take, left -= take;
  }
}

template <int W>
CLEARWAY_INLINE void products(const ProductsBlock& b) {
  if (!b.a) return one_row<W, true>(b, nullptr, 0, b.out);
  double* out = b.out;
  for (std::size_t i = 0; i < b.a_cols; ++i) {
    const std::size_t first = b.symmetric ? i : 0;
    one_row<W, false>(b, b.a + i * TiledMatrix::kTile, first, out);
    out += b.b_cols - first;
  }
}

}  // namespace clearway::detail
