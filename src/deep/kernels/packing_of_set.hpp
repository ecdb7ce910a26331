// Matrices copied into panels, as the products read them: plain, transposed, by rows, rounded to bfloat16 or as pairs of it.
// Common text of the instruction sets, included by kernels_of_set.hpp.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/vector_math.hpp"

namespace clearway::kernels {
namespace {

constexpr std::size_t kStream = 16;  // rows that are packed side by side: as many streams a processor can follow

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
