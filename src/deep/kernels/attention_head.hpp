// What the attention kernel of one head works on, and how much room it needs. The mathematics is at the head of attention.hpp.
// Included by the sources of all instruction sets: no template of the standard library here (see kernel_table.hpp).
#pragma once

#include <cstddef>

namespace clearway::kernels {

/// Rows of neighbouring numbers, row r at data + r * stride.
struct HeadRows {
  const float* data = nullptr;
  std::size_t stride = 0;
};
struct HeadRowsOut {
  float* data = nullptr;
  std::size_t stride = 0;
};

/// One head of T queries, S >= T keys and width D; query t sees the keys 0 .. S - T + t.
struct AttentionHead {
  HeadRows q, k, v;
  std::size_t queries = 0, keys = 0, width = 0;
  /// S x D/2 numbers each, by which queries and keys turn according to their positions; or null.
  const float *cosine = nullptr, *sine = nullptr;
  float scale = 1;  ///< of scores
  HeadRowsOut out;
  float* log_total = nullptr;  ///< T, written; or null when no backward pass follows
  float* space = nullptr;      ///< attention_space() floats, aligned to 64 bytes
};

struct AttentionHeadBackward {
  AttentionHead forward;             ///< without `out` and log_total
  const float* log_total = nullptr;  ///< T
  HeadRows out, out_gradient;        ///< what forward gave, and the gradient by it
  HeadRowsOut dq, dk, dv;            ///< overwritten
};

inline constexpr std::size_t kAttentionPanel = 32;     ///< columns of a panel, as everywhere (kernel_table.hpp)
inline constexpr std::size_t kAttentionMostRows = 12;  ///< queries that a product takes at once, at most

inline constexpr std::size_t attention_padded(std::size_t columns) {
  return (columns + kAttentionPanel - 1) / kAttentionPanel * kAttentionPanel;
}

/// Queries whose weights are worked on together in the backward pass: their two tables of weights should take no more than
/// 256 KB, so that they stay in the level 2 cache, but never fewer than one block.
inline constexpr std::size_t attention_rows(std::size_t queries, std::size_t keys) {
  const std::size_t fit = 32768 / attention_padded(keys) / kAttentionMostRows * kAttentionMostRows;
  const std::size_t rows = fit < kAttentionMostRows ? kAttentionMostRows : fit > 96 ? 96 : fit;
  return queries < 1 ? 1 : queries < rows ? queries : rows;
}

/// Floats of scratch memory for one head.
inline constexpr std::size_t attention_space(std::size_t queries, std::size_t keys, std::size_t width, bool backward) {
  const std::size_t d = attention_padded(width), s = attention_padded(keys);
  const std::size_t block = d * (kAttentionMostRows + 1);
  if (!backward) return block + d * (kAttentionPanel + 2 * s) + kAttentionMostRows * s;
  const std::size_t rows = attention_rows(queries, keys);
  return block + 5 * d * s + 2 * rows * (d + s) + rows;
}

}  // namespace clearway::kernels
