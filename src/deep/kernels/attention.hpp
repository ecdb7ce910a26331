// Causal attention of many heads on threads that own whole heads. No torch.
//
//   P = softmax(scale Q K'),  O = P V                       query t of T sees the keys 0 .. S - T + t of S
//   dV = P' dO,  dS = P * (dO V' - rowsum(dO * O)),  dQ = scale dS K,  dK = scale dS' Q
//
// Forward goes over blocks of queries and keeps the logarithm of every row's sum of exp(score); backward computes the weights
// again from it (Dao et al. 2022, arXiv 2205.14135), so that memory grows with T + S and not with T S. Queries and keys may be
// turned by their positions on the way in, and their gradients on the way out (Su et al. 2021, arXiv 2104.09864).
#pragma once

#include <cstddef>

#include "kernels/kernel_table.hpp"

namespace clearway::kernels {

/// B x H x T x D numbers with neighbours along D; the steps may be those of any view.
template <class Number>
struct HeadTable {
  Number* data = nullptr;
  std::size_t batch = 0, head = 0, row = 0;  ///< steps
};

/// B x H heads of T queries and S >= T keys.
struct AttentionCall {
  std::size_t batch = 0, heads = 0, queries = 0, keys = 0, width = 0;
  HeadTable<const float> q, k, v;
  const float *cosine = nullptr, *sine = nullptr;  ///< S x D/2 each, of the keys' positions; or null: nothing is turned
  float scale = 1;
  int threads = 1;
  const KernelTable* table = nullptr;  ///< null for the fastest
};

/// Writes `out`, and B x H x T numbers to log_total unless it is null.
void attention(const AttentionCall& call, const HeadTable<float>& out, float* log_total);

/// Gradients by queries, keys and values, all overwritten, from `out` and log_total of forward and the gradient by `out`.
struct AttentionBackward {
  HeadTable<const float> out, out_gradient;
  const float* log_total = nullptr;
  HeadTable<float> dq, dk, dv;
};
void attention_backward(const AttentionCall& call, const AttentionBackward& backward);

}  // namespace clearway::kernels
