// Vectors of CLEARWAY_LANES floats on the compiler's vector extension, with exp and the normal distribution function, and
// parts of vectors at the ends of rows. Included by one file per instruction set, inside no namespace of its own name:
// everything has internal linkage.
//
// exp x = 2^n (1 + r + r^2 q(r)), n = round(x / log 2), |r| <= log(2) / 2, q of degree 4 by least squares at Chebyshev
// nodes (relative error 8e-9 before rounding). Phi(x) = 1/2 + x P(x^2) / Q(x^2) for |x| <= 5.6, P and Q of degree 5 with
// positive coefficients fitted for this file by reweighted least squares: error 1e-8 before rounding. torch's GELU is the
// same function by erf; both differ from the exact one by rounding only.
#pragma once

#include <cstddef>
#include <cstdint>

#if CLEARWAY_LANES == 16 || CLEARWAY_LANES == 8
#include <immintrin.h>
#endif

#define CLEARWAY_INLINE inline __attribute__((always_inline))
#define CLEARWAY_UNROLL _Pragma("GCC unroll 16")

namespace clearway::kernels {
namespace {

constexpr std::size_t kLanes = CLEARWAY_LANES;
using Vector = float __attribute__((vector_size(4 * CLEARWAY_LANES)));
using Bits = std::int32_t __attribute__((vector_size(4 * CLEARWAY_LANES)));

CLEARWAY_INLINE Vector load(const float* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
CLEARWAY_INLINE void store(float* to, Vector value) {
  __builtin_memcpy(to, &value, sizeof value);
}
/// A vector of `columns` numbers from column c; zeros beyond.
CLEARWAY_INLINE Vector load_part(const float* from, std::size_t c, std::size_t columns) {
  if (!from) return Vector{};
  if (c + kLanes <= columns) return load(from + c);
  float part[kLanes] = {};
  for (std::size_t i = c; i < columns; ++i) part[i - c] = from[i];
  return load(part);
}
/// Writes only the first `columns` numbers of a row.
CLEARWAY_INLINE void store_part(float* to, std::size_t c, std::size_t columns, Vector value) {
  if (c + kLanes <= columns) return store(to + c, value);
  float part[kLanes];
  store(part, value);
  for (std::size_t i = c; i < columns; ++i) to[i] = part[i - c];
}
/// x in columns below `seen`, `other` in the rest; the first lane is column c.
CLEARWAY_INLINE Vector seen_part(Vector x, std::size_t c, std::size_t seen, Vector other) {
  alignas(64) static constexpr std::int32_t kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Bits column;
  __builtin_memcpy(&column, kNumbers, sizeof column);
  const auto left = static_cast<std::int32_t>(seen > c ? seen - c : 0);
  return column < left ? x : other;
}
/// Past the caches; `to` must be aligned to the vector's size.
CLEARWAY_INLINE void stream_store(float* to, Vector value) {
#if CLEARWAY_LANES == 16
  _mm512_stream_ps(to, (__m512)value);
#elif CLEARWAY_LANES == 8
  _mm256_stream_ps(to, (__m256)value);
#else
  store(to, value);
#endif
}
CLEARWAY_INLINE void stream_fence() {
#if CLEARWAY_LANES == 16 || CLEARWAY_LANES == 8
  _mm_sfence();
#endif
}
CLEARWAY_INLINE Vector splat(float value) {
#if CLEARWAY_LANES == 16
  return (Vector)_mm512_set1_ps(value);
#elif CLEARWAY_LANES == 8
  return (Vector)_mm256_set1_ps(value);
#else
  return Vector{value, value, value, value};
#endif
}

/// Both let a NaN in x through.
CLEARWAY_INLINE Vector at_least(Vector x, Vector low) {
  return low > x ? low : x;
}
CLEARWAY_INLINE Vector at_most(Vector x, Vector high) {
  return high < x ? high : x;
}

/// 1 / x for normal, positive x.
CLEARWAY_INLINE Vector reciprocal(Vector x) {
#if CLEARWAY_LANES == 16
  const Vector guess = (Vector)_mm512_rcp14_ps((__m512)x);
  return guess + guess * (1.0f - x * guess);  // 14 bits become 24 to 27
#else
  return 1.0f / x;
#endif
}

/// exp(x), x taken into [-87, 88].
CLEARWAY_INLINE Vector exponential(Vector argument) {
  constexpr float kRound = 0x1.8p23f;  // adding it rounds to an integer, which then lies in the low bits
  const Vector x = at_most(at_least(argument, splat(-87.0f)), splat(88.0f));
  const Vector shifted = x * 0x1.715476p+0f + kRound;
  const Vector n = shifted - kRound;
  const Vector r = (x - n * 0x1.62e400p-1f) - n * 0x1.7f7d1cp-20f;
  Vector q = splat(0x1.6d4326p-10f);
  q = q * r + 0x1.120b74p-7f;
  q = q * r + 0x1.5554eap-5f;
  q = q * r + 0x1.5554dcp-3f;
  q = q * r + 0.5f;
  const Vector mantissa = (q * r) * r + r + 1.0f;
  return (Vector)((Bits)mantissa + ((Bits)shifted << 23));
}

/// Phi(x).
CLEARWAY_INLINE Vector normal_distribution(Vector argument) {
  const Vector x = at_most(at_least(argument, splat(-5.6f)), splat(5.6f));
  const Vector s = x * x;
  Vector p = splat(0x1.7cefaap-26f);
  p = p * s + 0x1.a9627ap-18f;
  p = p * s + 0x1.6a1536p-13f;
  p = p * s + 0x1.34064cp-8f;
  p = p * s + 0x1.18bae4p-5f;
  p = p * s + 0x1.988452p-2f;
  Vector q = splat(0x1.3cab78p-20f);
  q = q * s + 0x1.392a6cp-14f;
  q = q * s + 0x1.f3be40p-10f;
  q = q * s + 0x1.d91efap-6f;
  q = q * s + 0x1.02a06ep-2f;
  q = q * s + 1.0f;
  return 0.5f + x * p * reciprocal(q);
}

CLEARWAY_INLINE Vector normal_density(Vector x) {
  return 0x1.988454p-2f * exponential(-0.5f * x * x);
}
CLEARWAY_INLINE Vector sigmoid(Vector x) {
  return reciprocal(1.0f + exponential(-x));
}

/// To the nearest bfloat16, ties to even; NaN stays NaN.
CLEARWAY_INLINE Vector rounded_to_bfloat16(Vector x) {
  using Word = std::uint32_t __attribute__((vector_size(4 * CLEARWAY_LANES)));
  const Word bits = (Word)x;
  const Word up = bits + 0x7fffu + ((bits >> 16) & 1u);
  return x == x ? (Vector)(up & 0xffff0000u) : x;  // NOLINT(misc-redundant-expression): not a number
}

/// Sum of the lanes, always in the same order: halves are added to halves.
CLEARWAY_INLINE float lane_sum(Vector value) {
#if CLEARWAY_LANES == 16 || CLEARWAY_LANES == 8
#if CLEARWAY_LANES == 16
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)value), _mm512_extractf32x8_ps((__m512)value, 1));
#else
  const __m256 eight = (__m256)value;
#endif
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
#else
  float lanes[kLanes];
  store(lanes, value);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
#endif
}

/// The largest lane, if none is NaN.
CLEARWAY_INLINE float lane_max(Vector value) {
#if CLEARWAY_LANES == 16
  return _mm512_reduce_max_ps((__m512)value);
#else
  float lanes[kLanes];
  store(lanes, value);
  float most = lanes[0];
  for (std::size_t i = 1; i < kLanes; ++i) most = lanes[i] > most ? lanes[i] : most;
  return most;
#endif
}

}  // namespace
}  // namespace clearway::kernels
