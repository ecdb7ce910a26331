// Every kernel, written once over vectors of CLEARWAY_LANES floats and blocks of CLEARWAY_ROWS rows. Each instruction set
// includes this file in one source of its own (portable.cpp, avx2.cpp ...); all of it has internal linkage.
//
// The product keeps a block of rows x (two vectors of columns) in registers and walks down the depth: per step two loads of
// the right factor, one broadcast per row. Rows are read through pointers, so tokens are never gathered.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/vector_math.hpp"

namespace clearway::kernels {
namespace {

constexpr std::size_t kRows = CLEARWAY_ROWS;
constexpr std::size_t kStep = 2 * kLanes;  // columns in registers
constexpr std::size_t kStream = 16;        // rows that are packed side by side: as many streams a processor can follow

#define CLEARWAY_UNROLL _Pragma("GCC unroll 16")

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

/// A vector of `columns` numbers from column c; zeros beyond.
CLEARWAY_INLINE Vector load_part(const float* from, std::size_t c, std::size_t columns) {
  if (!from) return Vector{};
  if (c + kLanes <= columns) return load(from + c);
  float part[kLanes] = {};
  for (std::size_t i = c; i < columns; ++i) part[i - c] = from[i];
  return load(part);
}

/// Hidden unit from pre-activations.
template <Activation kActivation>
CLEARWAY_INLINE Vector activate(Vector value, Vector gate) {
  if constexpr (kActivation == Activation::relu) return at_least(value, Vector{});
  if constexpr (kActivation == Activation::gelu) return value * normal_distribution(value);
  if constexpr (kActivation == Activation::silu) return value * sigmoid(value);
  if constexpr (kActivation == Activation::swiglu) return value * (gate * sigmoid(gate));
}

/// Hidden unit and its derivatives by the pre-activations.
template <Activation kActivation>
CLEARWAY_INLINE Vector activate(Vector value, Vector gate, Vector (&slope)[2]) {
  if constexpr (kActivation == Activation::relu) {
    slope[0] = value > Vector{} ? splat(1) : Vector{};
    return at_least(value, Vector{});
  }
  if constexpr (kActivation == Activation::gelu) {
    const Vector share = normal_distribution(value);
    slope[0] = share + value * normal_density(value);
    return value * share;
  }
  if constexpr (kActivation == Activation::silu) {
    const Vector share = sigmoid(value);
    slope[0] = share + value * share * (1.0f - share);
    return value * share;
  }
  if constexpr (kActivation == Activation::swiglu) {
    const Vector share = sigmoid(gate), swish = gate * share;
    slope[0] = swish;
    slope[1] = value * (share + swish * (1.0f - share));
    return value * swish;
  }
}

template <bool kPairs>
CLEARWAY_INLINE void store_hidden(float* row, std::size_t column, Vector value) {
#if CLEARWAY_BF16
  if constexpr (kPairs) {
    const __m256bh words = _mm512_cvtneps_pbh((__m512)value);
    __builtin_memcpy(row + column / 2, &words, sizeof words);
    return;
  }
#endif
  store(row + column, value);
}

template <Activation kActivation, bool kPairs>
void hidden_of(const HiddenProduct* products, std::size_t panels) {
  static constexpr int kFactors = kActivation == Activation::swiglu ? 2 : 1;
  const auto factor_of = [](const HiddenProduct& p, int i) { return p.factor[i]; };
  const auto finish = [](const HiddenProduct& p, std::size_t first, std::size_t height, const auto& tile) {
    for (std::size_t c = 0; c < kPanel; c += kLanes) {
      Vector bias[kFactors];
      for (int i = 0; i < kFactors; ++i) bias[i] = load_part(p.bias[i], c, p.columns);
      for (std::size_t m = 0; m < height; ++m) {
        const std::size_t at = (first + m) * kPanel + c;
        Vector pre[2] = {};
        for (int i = 0; i < kFactors; ++i) {
          pre[i] = load(tile[i] + m * kPanel + c) + bias[i];
          if (p.saved[i]) store(p.saved[i] + at, pre[i]);
        }
        Vector unit = activate<kActivation>(pre[0], pre[1]);
        if (p.mask) unit *= load(p.mask + at);
        if (p.round) unit = rounded_to_bfloat16(unit);
        store_hidden<kPairs>(p.hidden + (first + m) * kPanel, c, unit);
      }
    }
  };
  for_tiles<kPairs, kFactors>(products, panels, factor_of, finish);
}

template <bool kPairs>
void hidden(const HiddenProduct* products, std::size_t panels) {
  switch (products->activation) {
    case Activation::relu:
      return hidden_of<Activation::relu, kPairs>(products, panels);
    case Activation::gelu:
      return hidden_of<Activation::gelu, kPairs>(products, panels);
    case Activation::silu:
      return hidden_of<Activation::silu, kPairs>(products, panels);
    case Activation::swiglu:
      return hidden_of<Activation::swiglu, kPairs>(products, panels);
  }
}

template <bool kPairs>
void output(const OutputProduct* products, std::size_t panels) {
  const auto factor_of = [](const OutputProduct& p, int) { return p.factor; };
  const auto finish = [](const OutputProduct& p, std::size_t first, std::size_t height, const auto& tile) {
    for (std::size_t m = 0; m < height; ++m) {
      float* out = p.out[first + m] + p.offset;
      const float* sum = tile[0] + m * kPanel;
      if (p.columns == kPanel) {
        CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
          const Vector value = p.bias ? load(sum + c) + load(p.bias + c) : load(sum + c);
          store(out + c, p.accumulate ? load(out + c) + value : value);
        }
      } else {
        for (std::size_t c = 0; c < p.columns; ++c) {
          const float value = p.bias ? sum[c] + p.bias[c] : sum[c];
          out[c] = p.accumulate ? out[c] + value : value;
        }
      }
    }
  };
  for_tiles<kPairs, 1>(products, panels, factor_of, finish);
}

template <Activation kActivation>
void gradient_of(const GradientProduct* products, std::size_t panels) {
  static constexpr int kFactors = kActivation == Activation::swiglu ? 2 : 1;
  const auto factor_of = [](const GradientProduct& p, int) { return p.factor; };
  const auto finish = [](const GradientProduct& p, std::size_t first, std::size_t height, const auto& tile) {
    for (std::size_t m = 0; m < height; ++m) {
      const std::size_t row = first + m;
      const Vector weight = splat(p.weight ? p.weight[row] : 1.0f);
      Vector along{};
      CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
        const std::size_t at = row * kPanel + c;
        const Vector value = load(p.saved[0] + at), gate = kFactors == 2 ? load(p.saved[1] + at) : Vector{};
        Vector slope[2] = {};
        Vector unit = activate<kActivation>(value, gate, slope);
        Vector g = load(tile[0] + m * kPanel + c);
        if (p.mask) {
          const Vector mask = load(p.mask + at);
          unit *= mask;
          along += g * unit;
          g *= mask;
        } else {
          along += g * unit;
        }
        g *= weight;
        for (int i = 0; i < kFactors; ++i) store(p.gradient[i] + at, g * slope[i]);
        if (p.hidden) store(p.hidden + at, unit * weight);
      }
      if (p.weight_gradient) p.weight_gradient[row] += lane_sum(along);
    }
  };
  for_tiles<false, 1>(products, panels, factor_of, finish);
}

void gradient(const GradientProduct* products, std::size_t panels) {
  switch (products->activation) {
    case Activation::relu:
      return gradient_of<Activation::relu>(products, panels);
    case Activation::gelu:
      return gradient_of<Activation::gelu>(products, panels);
    case Activation::silu:
      return gradient_of<Activation::silu>(products, panels);
    case Activation::swiglu:
      return gradient_of<Activation::swiglu>(products, panels);
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

void pack(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, bool round, float* panels) {
  for (std::size_t first = 0; first < depth; first += kStream) {
    const std::size_t end = depth - first < kStream ? depth : first + kStream;
    for (std::size_t begin = 0; begin < columns; begin += kPanel) {
      const float* row = from + first * stride + begin;
      float* to = panels + begin * depth + first * kPanel;
      for (std::size_t k = first; k < end; ++k, row += stride, to += kPanel)
        CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
          const Vector value = columns - begin >= kPanel ? load(row + c) : load_part(row, c, columns - begin);
          store(to + c, round ? rounded_to_bfloat16(value) : value);
        }
    }
  }
}

#if CLEARWAY_LANES == 16
/// Transposes 16 x 16 floats.
CLEARWAY_INLINE void transpose_block(const float* from, std::size_t stride, float* to, std::size_t to_stride) {
  __m512 a[16], b[16];
  CLEARWAY_UNROLL for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_ps(from + static_cast<std::size_t>(i) * stride);
  CLEARWAY_UNROLL for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  CLEARWAY_UNROLL for (int i = 0; i < 16; i += 4) CLEARWAY_UNROLL for (int j = 0; j < 2; ++j) {
    const __m512d low = _mm512_castps_pd(b[i + j]), high = _mm512_castps_pd(b[i + j + 2]);
    a[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
    a[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
  }
  // a[4 g + c] holds, in its lane q of four, column 4 q + c of rows 4 g .. 4 g + 3.
  CLEARWAY_UNROLL for (int c = 0; c < 4; ++c) {
    const __m512 even01 = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x88),
                 odd01 = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xdd);
    const __m512 even23 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x88);
    const __m512 odd23 = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xdd);
    _mm512_storeu_ps(to + static_cast<std::size_t>(c) * to_stride, _mm512_shuffle_f32x4(even01, even23, 0x88));
    _mm512_storeu_ps(to + static_cast<std::size_t>(4 + c) * to_stride, _mm512_shuffle_f32x4(odd01, odd23, 0x88));
    _mm512_storeu_ps(to + static_cast<std::size_t>(8 + c) * to_stride, _mm512_shuffle_f32x4(even01, even23, 0xdd));
    _mm512_storeu_ps(to + static_cast<std::size_t>(12 + c) * to_stride, _mm512_shuffle_f32x4(odd01, odd23, 0xdd));
  }
}
constexpr std::size_t kBlock = 16;
#else
CLEARWAY_INLINE void transpose_block(const float* from, std::size_t stride, float* to, std::size_t to_stride) {
  for (std::size_t r = 0; r < 8; ++r)
    for (std::size_t c = 0; c < 8; ++c) to[c * to_stride + r] = from[r * stride + c];
}
constexpr std::size_t kBlock = 8;
#endif

void pack_transposed(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, bool round,
                     float* panel) {
  std::size_t k = 0;
  if (columns == kPanel)
    for (; k + kBlock <= depth; k += kBlock)
      for (std::size_t c = 0; c < kPanel; c += kBlock)
        transpose_block(from + c * stride + k, stride, panel + k * kPanel + c, kPanel);
  for (; k < depth; ++k)
    for (std::size_t c = 0; c < kPanel; ++c) panel[k * kPanel + c] = c < columns ? from[c * stride + k] : 0.0f;
  if (round)
    for (std::size_t i = 0; i < depth * kPanel; i += kLanes) store(panel + i, rounded_to_bfloat16(load(panel + i)));
}

void pack_rows(const float* const* rows, std::size_t count, std::size_t columns, float* panels) {
  for (std::size_t r = 0; r < count; ++r) {
    const float* from = rows[r];
    float* to = panels + r * kPanel;
    std::size_t left = columns;
    for (; left >= kPanel; left -= kPanel, from += kPanel, to += count * kPanel)
      CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) store(to + c, load(from + c));
    if (left > 0)
      for (std::size_t c = 0; c < kPanel; ++c) to[c] = c < left ? from[c] : 0.0f;
  }
}

void round_row(const float* from, std::size_t count, float* to) {
  float part[kLanes];
  for (std::size_t c = 0; c < count; c += kLanes) {
    const std::size_t there = count - c < kLanes ? count - c : kLanes;
    for (std::size_t i = 0; i < kLanes; ++i) part[i] = i < there ? from[c + i] : 0.0f;
    store(part, rounded_to_bfloat16(load(part)));
    for (std::size_t i = 0; i < there; ++i) to[c + i] = part[i];
  }
}

void column_sums(const LeftRows& rows, const float* weight, std::size_t count, std::size_t columns, bool accumulate,
                 float* sums) {
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = rows.pointers ? rows.pointers[r] : rows.base + r * kPanel;
    const float factor = weight ? weight[r] : 1.0f;
    if (!accumulate && r == 0)
      for (std::size_t c = 0; c < columns; ++c) sums[c] = factor * row[c];
    else
      for (std::size_t c = 0; c < columns; ++c) sums[c] += factor * row[c];
  }
}

void combine(const float* y, const float* weight, const std::int64_t* slots, std::size_t count, std::size_t width,
             float* out) {
  std::size_t c = 0;
  for (; c + kLanes <= width; c += kLanes) {
    Vector sum{};
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::size_t>(slots[i]);
      const Vector value = load(y + slot * width + c);
      sum = weight ? sum + value * weight[slot] : sum + value;
    }
    store(out + c, sum);
  }
  for (; c < width; ++c) {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::size_t>(slots[i]);
      sum += (weight ? weight[slot] : 1.0f) * y[slot * width + c];
    }
    out[c] = sum;
  }
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

CLEARWAY_INLINE Vector root(Vector x) {
#if CLEARWAY_LANES == 16
  return (Vector)_mm512_sqrt_ps((__m512)x);
#elif CLEARWAY_LANES == 8
  return (Vector)_mm256_sqrt_ps((__m256)x);
#else
  for (std::size_t i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

CLEARWAY_INLINE void adamw_vector(const AdamWStep& s, Vector& parameter, Vector gradient, Vector& mean,
                                  Vector& square) {
  mean = mean * s.beta1 + gradient * s.rest1;
  square = square * s.beta2 + gradient * gradient * s.rest2;
  parameter = parameter * s.keep - s.rate * mean / (root(square) * s.root_correction + s.epsilon);
}

void adamw(const AdamWStep& s) {
  constexpr std::size_t kAhead = 16 * kLanes;
  std::size_t i = 0;
  for (; i + kLanes <= s.count; i += kLanes) {
    if constexpr (kLanes == 16) {  // a line each: four streams are more than some processors fetch ahead by themselves
      __builtin_prefetch(s.parameter + i + kAhead, 1);
      __builtin_prefetch(s.gradient + i + kAhead, 0);
      __builtin_prefetch(s.mean + i + kAhead, 1);
      __builtin_prefetch(s.square + i + kAhead, 1);
    }
    Vector parameter = load(s.parameter + i), mean = load(s.mean + i), square = load(s.square + i);
    adamw_vector(s, parameter, load(s.gradient + i), mean, square);
    store(s.parameter + i, parameter);
    store(s.mean + i, mean);
    store(s.square + i, square);
  }
  if (i == s.count) return;
  float rest[4][kLanes] = {};
  const std::size_t left = s.count - i;
  for (std::size_t j = 0; j < left; ++j) {
    rest[0][j] = s.parameter[i + j];
    rest[1][j] = s.gradient[i + j];
    rest[2][j] = s.mean[i + j];
    rest[3][j] = s.square[i + j];
  }
  Vector parameter = load(rest[0]), mean = load(rest[2]), square = load(rest[3]);
  adamw_vector(s, parameter, load(rest[1]), mean, square);
  store(rest[0], parameter);
  store(rest[2], mean);
  store(rest[3], square);
  for (std::size_t j = 0; j < left; ++j) {
    s.parameter[i + j] = rest[0][j];
    s.mean[i + j] = rest[2][j];
    s.square[i + j] = rest[3][j];
  }
}

#if CLEARWAY_BF16
void row_to_pairs(const float* from, std::size_t count, float* words) {
  std::size_t c = 0;
  for (; c + 16 <= count; c += 16) {
    const __m256bh packed = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + c));
    __builtin_memcpy(words + c / 2, &packed, sizeof packed);
  }
  if (c == count) return;
  const __mmask16 there = static_cast<__mmask16>((1u << (count - c)) - 1u);
  const __m256bh packed = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, from + c));
  __builtin_memcpy(words + c / 2, &packed, (count - c + 1) / 2 * 4);
}

void pack_pairs(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, float* panels) {
  // cvtne2 gives the 16 numbers of row k in the low half and those of row k + 1 in the high half; now interleave.
  const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                              6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const std::size_t pairs = (depth + 1) / 2;
  for (std::size_t first = 0; first < pairs; first += kStream / 2) {
    const std::size_t end = pairs - first < kStream / 2 ? pairs : first + kStream / 2;
    for (std::size_t begin = 0; begin < columns; begin += kPanel)
      for (std::size_t pair = first; pair < end; ++pair)
        for (std::size_t c = 0; c < kPanel; c += 16) {
          const float* row = from + 2 * pair * stride + begin + c;
          const std::size_t there = columns <= begin + c ? 0 : columns - begin - c < 16 ? columns - begin - c : 16;
          const __mmask16 mask = static_cast<__mmask16>((1u << there) - 1u);
          const __m512 even = _mm512_maskz_loadu_ps(mask, row);
          const __m512 odd = 2 * pair + 1 < depth ? _mm512_maskz_loadu_ps(mask, row + stride) : _mm512_setzero_ps();
          const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
          _mm512_storeu_si512(panels + begin * pairs + pair * kPanel + c, _mm512_permutexvar_epi16(interleave, both));
        }
  }
}
#endif

}  // namespace
}  // namespace clearway::kernels

#include "kernels/attention_of_set.hpp"
#include "kernels/layer_norm_of_set.hpp"

namespace clearway::kernels {
namespace {

constexpr KernelTable table_of_set(const char* name) {
  return {
    name, kRows, pack, pack_transposed, pack_rows, round_row, hidden<false>, output<false>, gradient, weights,
        column_sums, combine, dot, sum_of_squares, adamw, attention_forward, attention_backward, layer_norm_forward,
        layer_norm_backward,
#if CLEARWAY_BF16
        pack_pairs, row_to_pairs, hidden<true>, output<true>
#else
        nullptr, nullptr, nullptr, nullptr
#endif
  };
}

}  // namespace
}  // namespace clearway::kernels
