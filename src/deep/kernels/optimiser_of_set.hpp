// One pass of AdamW over memory. Common text of the instruction sets, included by kernels_of_set.hpp.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/vector_math.hpp"

namespace clearway::kernels {
namespace {

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

}  // namespace
}  // namespace clearway::kernels
