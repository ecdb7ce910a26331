// N feed-forward experts on lists of tokens, forward and backward, on threads that own whole tasks. No torch.
//
//   P = X W1 + b1,  H = act(P),  Y = H W2 + b2          (swiglu: Pg = X Wg + bg, H = P * silu(Pg))
//   G = dY W2^T,  dP = w * G * act'(P),  dX = dP W1^T,  dW1 = X^T dP,  dW2 = (w H)^T dY,  dw = <G, H> + <dY, b2>
//
// where w is the weight with which an assignment enters a sum, or 1. Only P is kept for the backward pass; H is computed
// again. The gradient by w needs no Y (as in SonicMoE, Guo et al. 2025, arXiv 2512.14080). Answers are written to slots,
// one per assignment, and summed per token in the order of its slots: no result depends on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/grouping.hpp"
#include "kernels/kernel_table.hpp"

namespace clearway::kernels {

struct FeedForwardShape {
  std::size_t experts = 0;  ///< N
  std::size_t inputs = 0;   ///< d
  std::size_t hidden = 0;   ///< h
  Activation activation = Activation::relu;
  bool bfloat16 = false;  ///< forward products of numbers rounded to bfloat16; the backward pass is float
};

/// Stacked parameters, row-major: w1, w_gate N x d x h, w2 N x h x d, b1, b_gate N x h, b2 N x d. Biases may be null.
struct FeedForwardWeights {
  const float *w1 = nullptr, *b1 = nullptr, *w2 = nullptr, *b2 = nullptr, *w_gate = nullptr, *b_gate = nullptr;
};

/// Where gradients go, shaped like the parameters and overwritten; null for those that nobody wants.
struct FeedForwardGradients {
  float *w1 = nullptr, *b1 = nullptr, *w2 = nullptr, *b2 = nullptr, *w_gate = nullptr, *b_gate = nullptr;
};

/// One call: T tokens, A assignments (slots).
struct FeedForwardCall {
  FeedForwardShape shape;
  FeedForwardWeights weights;
  const float* x = nullptr;             ///< T x d
  std::size_t tokens = 0;               ///< T
  const std::int64_t* token = nullptr;  ///< A, within 0 .. T-1
  const Groups* by_expert = nullptr;    ///< slots of every expert
  const float* mask = nullptr;          ///< factors of hidden units, like one block of saved; or null
  int threads = 1;
  const KernelTable* table = nullptr;  ///< null for the fastest
};

/// Floats in what forward() saves for A assignments.
std::size_t saved_size(const FeedForwardShape& shape, std::size_t assignments);

/// y: A x d. saved: saved_size() floats, or null when no backward pass follows.
void forward(const FeedForwardCall& call, float* y, float* saved);

struct FeedForwardBackward {
  const float* saved = nullptr;
  const float* y_gradient = nullptr;  ///< T x d (of the sum per token), or A x d with per_slot
  bool per_slot = false;
  const float* weight = nullptr;     ///< A, or null for 1
  float* weight_gradient = nullptr;  ///< A, or null
  float* x_gradient = nullptr;       ///< A x d, to be summed per token; or null
  FeedForwardGradients gradients;
};
void backward(const FeedForwardCall& call, const FeedForwardBackward& backward);

/// out (T x d) = sum over the slots of every token of weight * y; weight null for 1.
void combine(const float* y, const float* weight, const Groups& by_token, std::size_t width, int threads, float* out,
             const KernelTable* table = nullptr);

}  // namespace clearway::kernels
