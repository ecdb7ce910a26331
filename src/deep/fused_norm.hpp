// Layer norm over the last dimension: in one kernel (kernels/layer_norm.hpp) for floats on a CPU, by torch for all else.
#pragma once

#include <torch/types.h>

namespace clearway::deep {

/// x: ... x C; weight, bias: C. Differentiable once where the kernel does it.
torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                         double epsilon);

}  // namespace clearway::deep
