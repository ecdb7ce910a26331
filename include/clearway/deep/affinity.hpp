// How strongly every expert responds to every token: what competition compares (arXiv 2402.02526, 2505.13380).
//
//   norm |E_i(x)|,   softplus, relu, sigmoid, silu: mean over the d outputs of that function of E_i(x)
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "clearway/deep/expert_bank.hpp"
#include "clearway/deep/router_options.hpp"

namespace clearway::deep {

/// responses T x N x d -> T x N. `combined` is the norm here; the router adds its scores.
torch::Tensor affinities(const torch::Tensor& responses, Affinity kind);

/// The affinities of all experts without ever holding their responses: `tokens` at a time, computed again in the
/// backward pass (the bank counts both). Value and gradients are those of affinities(experts.respond_all(x), kind), with
/// the same dropout in both passes. The bank must outlive the graph.
torch::Tensor chunked_affinities(const torch::Tensor& x, ExpertBank& experts, Affinity kind, std::int64_t tokens);

/// (s - mean) / deviation along every row: free of scale and of a common level. T x N -> T x N; 0 where all are equal.
torch::Tensor standardised(const torch::Tensor& affinities);

}  // namespace clearway::deep
