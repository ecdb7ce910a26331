// The grouped kernels as one differentiable operation on float CPU tensors.
#pragma once

#include <torch/types.h>

#include "clearway/deep/assignments.hpp"
#include "clearway/deep/expert_options.hpp"

namespace clearway::deep {

/// Stacked parameters of a bank; undefined where there is none.
struct ExpertParameters {
  torch::Tensor w1, b1, w2, b2, w_gate, b_gate;
};

/// Whether grouped_feed_forward() takes these: all of them float, on the CPU, dense; gate weights only if `mixed`.
bool takes_grouped_kernels(const torch::Tensor& x, const Assignments& assignments, const ExpertParameters& parameters,
                           bool mixed);

/// ExpertBank's mix() when `mixed`, else respond(). dropout: probability with which a hidden unit is left out now, 0 for
/// none. First derivatives only: asking for a graph of the gradients throws std::invalid_argument.
torch::Tensor grouped_feed_forward(const torch::Tensor& x, const Assignments& assignments,
                                   const ExpertParameters& parameters, const ExpertOptions& options, double dropout,
                                   bool mixed);

}  // namespace clearway::deep
