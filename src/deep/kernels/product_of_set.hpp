// Products of rows with a factor whose columns lie in panels: a block of rows x (two vectors of columns) stays in registers
// and walks down the depth: per step two loads of the right factor, one broadcast per row. Rows are read through pointers,
// so tokens are never gathered. Then products of columns (gradients of weights) and of two vectors. Common text of the
// instruction sets, included by kernels_of_set.hpp.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/vector_math.hpp"

namespace clearway::kernels {
namespace {

constexpr std::size_t kRows = CLEARWAY_ROWS;
constexpr std::size_t kStep = 2 * kLanes;  // columns in registers

/// a * b + c, of floats or of bfloat16 pairs.
template <bool kPairs>
CLEARWAY_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
#if CLEARWAY_BF16
  if constexpr (kPairs) return (Vector)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#endif
  return a * b + c;
}

/// tile (M x 32, rows 32 apart) = rows times factor.
/// kFetch: the factor lies where the system put it, rows far apart, so that nobody else fetches it ahead.
template <std::size_t M, bool kPairs, bool kFetch>
void tile_product(const float* const* rows, std::size_t chunk, RightPanel factor, std::size_t depth, float* tile) {
  for (std::size_t column = 0; column < kPanel; column += kStep) {
    Vector sum[M][2] = {};
    const float* row[M];
    CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) row[m] = rows[m];
    const float* right = factor.data + column;
    for (std::size_t done = 0; done < depth; done += kPanel) {
      const std::size_t part = depth - done < kPanel ? depth - done : kPanel;
      for (std::size_t k = 0; k < part; ++k) {
        const Vector first = load(right), second = load(right + kLanes);
        if constexpr (kFetch) {
          // The same row of the next panel, into the second cache: by the time it is needed it will be there.
          __builtin_prefetch(right + kPanel, 0, 2);
          if constexpr (kLanes == 16) __builtin_prefetch(right + kPanel + kLanes, 0, 2);
        }
        right += factor.stride;
        CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) {
          const Vector left = splat(row[m][k]);
          sum[m][0] = multiply_add<kPairs>(left, first, sum[m][0]);
          sum[m][1] = multiply_add<kPairs>(left, second, sum[m][1]);
        }
      }
      CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) row[m] += chunk;
    }
    CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) {
      store(tile + m * kPanel + column, sum[m][0]);
      store(tile + m * kPanel + column + kLanes, sum[m][1]);
    }
  }
}

using TileProduct = void (*)(const float* const*, std::size_t, RightPanel, std::size_t, float*);

template <bool kPairs, bool kFetch>
CLEARWAY_INLINE TileProduct tile_product_of(std::size_t rows) {
  static constexpr TileProduct kTable[] = {
    nullptr,
    tile_product<1, kPairs, kFetch>,
    tile_product<2, kPairs, kFetch>,
    tile_product<3, kPairs, kFetch>,
    tile_product<4, kPairs, kFetch>,
    tile_product<5, kPairs, kFetch>,
    tile_product<6, kPairs, kFetch>,
#if CLEARWAY_ROWS > 6
    tile_product<7, kPairs, kFetch>,
    tile_product<8, kPairs, kFetch>,
    tile_product<9, kPairs, kFetch>,
    tile_product<10, kPairs, kFetch>,
    tile_product<11, kPairs, kFetch>,
    tile_product<12, kPairs, kFetch>,
#endif
  };
  static_assert(sizeof kTable / sizeof *kTable == kRows + 1);
  return kTable[rows];
}

/// Calls work(product, first row, rows, tile) for all products and blocks of rows of about equal height. kFactors: per
/// product, given by factor_of(product, i). All products have the same rows.
template <bool kPairs, int kFactors, class Product, class FactorOf, class Work>
CLEARWAY_INLINE void for_tiles(const Product* products, std::size_t panels, const FactorOf& factor_of,
                               const Work& work) {
  alignas(64) float tile[2][kRows * kPanel];
  const LeftRows& rows = products->rows;
  const std::size_t count = products->count, depth = products->depth, blocks = (count + kRows - 1) / kRows;
  const float* pointers[kRows];
  const auto first_of = [&](std::size_t block) { return block * count / blocks; };
  const auto set_pointers = [&](std::size_t block) {
    const std::size_t first = first_of(block), height = first_of(block + 1) - first;
    for (std::size_t m = 0; m < height; ++m)
      pointers[m] = rows.pointers ? rows.pointers[first + m] : rows.base + (first + m) * kPanel;
  };
  const auto compute = [&](const Product& p, std::size_t block) {
    const std::size_t first = first_of(block), height = first_of(block + 1) - first;
    for (int i = 0; i < kFactors; ++i) {
      const RightPanel factor = factor_of(p, i);
      const TileProduct product =
          factor.stride == kPanel ? tile_product_of<kPairs, false>(height) : tile_product_of<kPairs, true>(height);
      product(pointers, rows.chunk, factor, depth, tile[i]);
    }
    work(p, first, height, tile);
  };
  if (factor_of(*products, 0).stride == kPanel) {
    // Packed: a block of rows stays in the first cache while the panels pass by.
    for (std::size_t block = 0; block < blocks; ++block) {
      set_pointers(block);
      for (std::size_t i = 0; i < panels; ++i) compute(products[i], block);
    }
  } else {
    // From memory, hence few rows: every panel is fetched once.
    for (std::size_t i = 0; i < panels; ++i)
      for (std::size_t block = 0; block < blocks; ++block) {
        set_pointers(block);
        compute(products[i], block);
      }
  }
}

/// M rows of left^T right over `count` rows of two panels, which both are kPanel wide.
template <std::size_t M>
void weight_tile(const float* left, const float* right, std::size_t count, std::size_t columns, float* out,
                 std::size_t stride, bool accumulate, bool stream) {
  for (std::size_t column = 0; column < columns; column += kStep) {
    Vector sum[M][2] = {};
    const float* a = left;
    const float* b = right + column;
    for (std::size_t k = 0; k < count; ++k) {
      const Vector first = load(b), second = load(b + kLanes);
      CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) {
        const Vector x = splat(a[m]);
        sum[m][0] = x * first + sum[m][0];
        sum[m][1] = x * second + sum[m][1];
      }
      a += kPanel;
      b += kPanel;
    }
    if (stream && column + kStep <= columns) {
      CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) {
        stream_store(out + m * stride + column, sum[m][0]);
        stream_store(out + m * stride + column + kLanes, sum[m][1]);
      }
    } else if (column + kStep <= columns) {
      CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) CLEARWAY_UNROLL for (std::size_t v = 0; v < 2; ++v) {
        float* to = out + m * stride + column + v * kLanes;
        store(to, accumulate ? load(to) + sum[m][v] : sum[m][v]);
      }
    } else {
      float tile[kStep];
      CLEARWAY_UNROLL for (std::size_t m = 0; m < M; ++m) {
        store(tile, sum[m][0]);
        store(tile + kLanes, sum[m][1]);
        float* to = out + m * stride + column;
        for (std::size_t c = 0; c < columns - column; ++c) to[c] = accumulate ? to[c] + tile[c] : tile[c];
      }
    }
  }
}

void weights(const WeightProduct& p) {
  using WeightTile = void (*)(const float*, const float*, std::size_t, std::size_t, float*, std::size_t, bool, bool);
  static constexpr WeightTile kTable[] = {
    nullptr,
    weight_tile<1>,
    weight_tile<2>,
    weight_tile<3>,
    weight_tile<4>,
    weight_tile<5>,
    weight_tile<6>,
#if CLEARWAY_ROWS > 6
    weight_tile<7>,
    weight_tile<8>,
    weight_tile<9>,
    weight_tile<10>,
    weight_tile<11>,
    weight_tile<12>,
#endif
  };
  // Past the caches only where vectors fill whole lines.
  const bool stream = p.stream && !p.accumulate && kLanes > 4 && p.stride % kLanes == 0 &&
                      reinterpret_cast<std::uintptr_t>(p.out) % (4 * kLanes) == 0;
  const std::size_t blocks = (p.rows + kRows - 1) / kRows;
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t first = block * p.rows / blocks, height = (block + 1) * p.rows / blocks - first;
    kTable[height](p.left + first, p.right, p.count, p.columns, p.out + first * p.stride, p.stride, p.accumulate,
                   stream);
  }
  if (stream) stream_fence();
}

float dot(const float* a, const float* b, std::size_t count) {
  Vector sum{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) sum += load(a + i) * load(b + i);
  float rest = 0;
  for (; i < count; ++i) rest += a[i] * b[i];
  return lane_sum(sum) + rest;
}

double sum_of_squares(const float* a, std::size_t count) {
  // In blocks, so that the rounding of float sums does not grow with the count.
  double total = 0;
  for (std::size_t begin = 0; begin < count; begin += 1024) {
    const std::size_t end = count - begin < 1024 ? count : begin + 1024;
    total += static_cast<double>(dot(a + begin, a + begin, end - begin));
  }
  return total;
}

}  // namespace
}  // namespace clearway::kernels
