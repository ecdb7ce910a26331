// The outcome of routing as a flat list: which token goes to which expert with which weight.
//
// A list and not a T x K table, because the number of experts per token may vary: capacity drops assignments, ReLU
// routing has none to spare, and under expert choice an expert takes the tokens.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace clearway::deep {

/// A assignments of tokens 0..T-1 to experts 0..N-1. Their order carries no meaning.
struct Assignments {
  torch::Tensor tokens;   ///< A, int64
  torch::Tensor experts;  ///< A, int64
  torch::Tensor weights;  ///< A, the number type of the inputs; gradients flow to the router through it

  std::int64_t count() const { return tokens.defined() ? tokens.numel() : 0; }
};

/// From a table of T x K: `experts` int64, where -1 leaves a slot empty, and `weights` of the same shape.
Assignments assignments_from_slots(const torch::Tensor& experts, const torch::Tensor& weights);

/// Assignments per expert: N numbers, int64.
torch::Tensor assignment_counts(const Assignments& assignments, std::int64_t experts);

/// Keeps the first `capacity` assignments of every expert, in order of tokens (ties: of appearance); the rest is dropped,
/// as in Switch and GShard. capacity must be at least 1.
Assignments with_capacity(const Assignments& assignments, std::int64_t experts, std::int64_t capacity);

}  // namespace clearway::deep
