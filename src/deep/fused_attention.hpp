// Causal attention in one kernel (kernels/attention.hpp) instead of a torch operation per line of the formula.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace clearway::deep {

/// Whether the kernel can do it: float, dense, on the CPU.
bool takes_fused_attention(const torch::Tensor& tensor);

/// As causal_attention() without relative keys and span. All three must be taken (see above) and fit. Differentiable once.
torch::Tensor fused_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v);

/// As causal_self_attention() of a tensor that is taken and fits. cosine, sine: T x D/2 each, by which queries and keys turn,
/// or undefined. Differentiable once, by qkv.
torch::Tensor fused_self_attention(const torch::Tensor& qkv, std::int64_t heads, const torch::Tensor& cosine,
                                   const torch::Tensor& sine);

}  // namespace clearway::deep
