// Causal attention whose memory does not grow with the square of the context.
//
//   O = softmax(scale Q K' [+ scale Q r_dist]) V     over keys that are not later and at most `span` - 1 earlier
//
// Forward and backward go over blocks of queries; only queries, keys, values, outputs and the logsumexp of every row are
// kept, and the weights are computed again in backward (Dao et al. 2022, arXiv 2205.14135). Floats on a CPU without relative
// keys and span go through a kernel of our own (src/deep/kernels/attention.hpp), all else through torch operations.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace clearway::deep {

/// q: B x H x T x D; k, v: B x H x S x D with S >= T, the last T of them belonging to the queries' own positions.
/// relative: D x L, one key per distance 0 .. L-1 (undefined: none). span: keys seen per query; 0: all.
/// Returns B x H x T x D. Throws std::invalid_argument for shapes that do not fit.
torch::Tensor causal_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                               const torch::Tensor& relative = {}, std::int64_t span = 0);

/// The same by the definition, all weights in memory, with dropout on the weights.
torch::Tensor causal_attention_dense(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                     const torch::Tensor& relative = {}, std::int64_t span = 0, double dropout = 0);

/// causal_attention() for queries, keys and values side by side, B x T x 3C, of `heads` heads each; with `rotary` queries and
/// keys are rotated first, from position 0. Returns B x T x C. Throws std::invalid_argument for shapes that do not fit.
torch::Tensor causal_self_attention(const torch::Tensor& qkv, std::int64_t heads, bool rotary);

/// Rotates pairs (x_i, x_{i + D/2}) by angle position x 10000^(-2i/D) (Su et al. 2021, arXiv 2104.09864).
/// x: B x H x T x D, D even; the first row is position `first`.
torch::Tensor rotate_positions(const torch::Tensor& x, std::int64_t first);

}  // namespace clearway::deep
