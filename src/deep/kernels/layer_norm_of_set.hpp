// Layer norm of rows, forward and backward; formulas at the head of layer_norm.hpp. Common text of the instruction sets,
// included by kernels_of_set.hpp.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/vector_math.hpp"

namespace clearway::kernels {
namespace {

void layer_norm_forward(const LayerNormRows& call) {
  const std::size_t d = call.width;
  const float share = 1.0f / static_cast<float>(d);
  for (std::size_t r = 0; r < call.rows; ++r) {
    const float* const x = call.x + r * d;
    Vector sum{};
    for (std::size_t c = 0; c < d; c += kLanes) sum += load_part(x, c, d);
    const float mean = lane_sum(sum) * share;
    Vector square{};
    for (std::size_t c = 0; c < d; c += kLanes) {
      const Vector away = seen_part(load_part(x, c, d) - mean, c, d, Vector{});
      square += away * away;
    }
    const float slope = 1.0f / __builtin_sqrtf(lane_sum(square) * share + call.epsilon);
    for (std::size_t c = 0; c < d; c += kLanes) {
      const Vector unit = (load_part(x, c, d) - mean) * slope;
      store_part(call.y + r * d, c, d, unit * load_part(call.weight, c, d) + load_part(call.bias, c, d));
    }
    if (!call.mean) continue;
    call.mean[r] = mean;
    call.slope[r] = slope;
  }
}

void layer_norm_backward(const LayerNormRowsBackward& call) {
  const std::size_t d = call.width;
  const float share = 1.0f / static_cast<float>(d);
  for (std::size_t r = 0; r < call.rows; ++r) {
    const float *const x = call.x + r * d, *const dy = call.dy + r * d;
    const float mean = call.mean[r], slope = call.slope[r];
    Vector sum{}, along{};
    for (std::size_t c = 0; c < d; c += kLanes) {
      const Vector given = load_part(dy, c, d), unit = (load_part(x, c, d) - mean) * slope;
      const Vector g = given * load_part(call.weight, c, d), by_weight = given * unit;
      sum += g;
      along += g * unit;
      store_part(call.dweight, c, d, r == 0 ? by_weight : load_part(call.dweight, c, d) + by_weight);
      store_part(call.dbias, c, d, r == 0 ? given : load_part(call.dbias, c, d) + given);
    }
    const float first = lane_sum(sum) * share, second = lane_sum(along) * share;
    for (std::size_t c = 0; c < d; c += kLanes) {
      const Vector unit = (load_part(x, c, d) - mean) * slope;
      const Vector g = load_part(dy, c, d) * load_part(call.weight, c, d);
      store_part(call.dx + r * d, c, d, slope * (g - first - unit * second));
    }
  }
}

}  // namespace
}  // namespace clearway::kernels
