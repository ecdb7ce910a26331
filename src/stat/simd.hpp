// Vectors of W doubles on GCC's vector extension, with exp and log by polynomials. Everything is forced inline, so that
// the functions that use it can be compiled for several instruction sets side by side.
//
// exp: x = n log 2 + r, |r| <= log(2) / 2, exp(r) = 1 + r q(r), q of degree 10 interpolating at Chebyshev nodes
// (computed for this file; relative error 1e-17 before rounding). log: x = 2^k m, m in [sqrt(1/2), sqrt(2)),
// log m = 2 artanh((m - 1) / (m + 1)) by its series. Both are within two units in the last place.
#pragma once

#include <cstddef>

#define CLEARWAY_INLINE inline __attribute__((always_inline))

namespace clearway::detail {

template <int W>
struct Simd;
template <>
struct Simd<2> {
  using Real = double __attribute__((vector_size(16)));
  using Bits = unsigned long long __attribute__((vector_size(16)));
};
template <>
struct Simd<4> {
  using Real = double __attribute__((vector_size(32)));
  using Bits = unsigned long long __attribute__((vector_size(32)));
};
template <>
struct Simd<8> {
  using Real = double __attribute__((vector_size(64)));
  using Bits = unsigned long long __attribute__((vector_size(64)));
};

template <int W>
CLEARWAY_INLINE typename Simd<W>::Real load(const double* pointer) {
  typename Simd<W>::Real value;
  __builtin_memcpy(&value, pointer, sizeof value);
  return value;
}

template <int W>
CLEARWAY_INLINE void store(double* pointer, const typename Simd<W>::Real& value) {
  __builtin_memcpy(pointer, &value, sizeof value);
}

template <int W>
CLEARWAY_INLINE typename Simd<W>::Real splat(double value) {
  return typename Simd<W>::Real{} + value;
}

template <int W>
CLEARWAY_INLINE typename Simd<W>::Real larger(const typename Simd<W>::Real& a, const typename Simd<W>::Real& b) {
  return a > b ? a : b;
}

/// Sum of the lanes, always in the same order.
template <int W>
CLEARWAY_INLINE double lane_sum(const typename Simd<W>::Real& value) {
  double lanes[W];
  store<W>(lanes, value);
#pragma GCC unroll 4
  for (int half = W / 2; half > 0; half /= 2)
#pragma GCC unroll 4
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

/// exp(x) for x <= 709; 0 below -708.
template <int W>
CLEARWAY_INLINE typename Simd<W>::Real exponential(const typename Simd<W>::Real& argument) {
  using Real = typename Simd<W>::Real;
  using Bits = typename Simd<W>::Bits;
  constexpr double kLowest = -708.0;
  constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer, which then lies in the low bits
  constexpr double kQ[11] = {0x1.0000000000000p+0,  0x1.0000000000005p-1,  0x1.5555555555557p-3,  0x1.55555555520a4p-5,
                             0x1.11111111100dcp-7,  0x1.6c16c17f46982p-10, 0x1.a01a01abe7fe1p-13, 0x1.a019a6611cad5p-16,
                             0x1.71de0231960ebp-19, 0x1.28a2ca617b969p-22, 0x1.af4de97ca4194p-26};
  const Real x = larger<W>(argument, splat<W>(kLowest));
  const Real shifted = x * 0x1.71547652b82fep+0 + kRound;
  const Real n = shifted - kRound;
  const Real r = (x - n * 0x1.62e42fec00000p-1) - n * 0x1.d1cf79abc9e3bp-32;
  Real q = splat<W>(kQ[10]);
#pragma GCC unroll 10
  for (int i = 9; i >= 0; --i) q = q * r + kQ[i];
  const Real mantissa = q * r + 1.0;
  const Real result = (Real)((Bits)mantissa + ((Bits)shifted << 52));
  return argument < kLowest ? Real{} : result;
}

/// log(x) for normal x > 0.
template <int W>
CLEARWAY_INLINE typename Simd<W>::Real logarithm(const typename Simd<W>::Real& x) {
  using Real = typename Simd<W>::Real;
  using Bits = typename Simd<W>::Bits;
  constexpr unsigned long long kRootHalf = 0x3fe6a09e667f3bcdULL;  // bits of sqrt(1/2)
  constexpr unsigned long long kOne = 0x3ff0000000000000ULL;
  constexpr unsigned long long kTwo52 = 0x4330000000000000ULL;  // bits of 2^52
  const Bits moved = (Bits)x + (kOne - kRootHalf);
  const Real m = (Real)((moved & 0x000fffffffffffffULL) + kRootHalf);
  const Real k = (Real)((moved >> 52) | kTwo52) - (0x1p52 + 1023.0);
  const Real f = m - 1.0;
  const Real s = f / (m + 1.0);
  const Real z = s * s;
  Real tail = splat<W>(1.0 / 23.0);
#pragma GCC unroll 10
  for (int i = 21; i >= 3; i -= 2) tail = tail * z + 1.0 / i;
  // log m = 2 s + 2 s z tail; 2 s = f - s f, which keeps the leading term f exact.
  const Real small = s * (2.0 * z * tail - f) + k * 0x1.d1cf79abc9e3bp-32;
  return k * 0x1.62e42fec00000p-1 + (f + small);
}

}  // namespace clearway::detail
