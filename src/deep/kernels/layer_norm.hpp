// Layer norm of T rows of d numbers (Ba, Kiros and Hinton 2016, arXiv 1607.06450), forward and backward. No torch.
//
//   u = (x - mean(x)) s,  s = 1 / sqrt(var(x) + epsilon),  y = w * u + b
//   g = w * dy,  dx = s (g - mean(g) - u mean(g * u)),  dw = sum over rows of dy * u,  db = sum over rows of dy
//
// Sums over rows are taken in blocks of fixed size and then in their order: no result depends on the number of threads.
#pragma once

#include <cstddef>

#include "kernels/kernel_table.hpp"

namespace clearway::kernels {

/// y from x, weight and bias; mean and slope (T each) are filled unless null.
void layer_norm(const LayerNormRows& call, int threads = 1, const KernelTable* table = nullptr);

/// dx, dweight and dbias, all overwritten.
void layer_norm_backward(const LayerNormRowsBackward& call, int threads = 1, const KernelTable* table = nullptr);

}  // namespace clearway::kernels
