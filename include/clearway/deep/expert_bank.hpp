// A bank of N feed-forward experts of one shape, evaluated together: the hot path of a sparse layer.
//
// Parameters are stacked: w1 N x d x h, b1 N x h, w2 N x h x d, b2 N x d, and for swiglu w_gate, b_gate like w1, b1. On
// float CPU tensors, respond() and mix() run grouped kernels that gather token rows by pointer and return one gradient
// per parameter tensor; elsewhere (double, other devices) they are plain torch operations with the same result. Under
// torch 1.13, indexing a stacked parameter per expert would fill a whole N x d x h gradient per expert: not done here.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>

#include "clearway/deep/assignments.hpp"
#include "clearway/deep/expert_options.hpp"

namespace clearway::deep {

class ExpertBank : public torch::nn::Module {
 public:
  /// Weights uniform within +-1/sqrt(fan-in) (torch's default for linear layers), biases 0, from torch's generator.
  /// Throws std::invalid_argument for shapes below 1 or a dropout outside [0, 1).
  explicit ExpertBank(const ExpertOptions& options);

  const ExpertOptions& options() const { return options_; }

  /// Response of one expert per assignment: x T x d -> A x d, in the order of the assignments. Weights are not used.
  torch::Tensor respond(const torch::Tensor& x, const Assignments& assignments);
  /// Weighted sum of the responses per token: x T x d -> T x d; a token without assignment gets 0. Summation per token is
  /// in the order of its assignments, so results do not depend on the number of threads.
  torch::Tensor mix(const torch::Tensor& x, const Assignments& assignments);
  /// Response of every expert to every token: x T x d -> T x N x d. Memory grows with T N d.
  torch::Tensor respond_all(const torch::Tensor& x);

  /// Replaces the values of every parameter, which may change the number of experts (the same in all of them). Gradients
  /// are forgotten.
  void replace(const std::function<torch::Tensor(const torch::Tensor&)>& replacement);

  /// Expert evaluations (one expert, one token) since the last reset: for honest accounts of cost.
  std::int64_t evaluations() const { return evaluations_; }
  void reset_evaluations() { evaluations_ = 0; }

  torch::Tensor w1, b1, w2, b2;  ///< b1, b2 undefined without bias
  torch::Tensor w_gate, b_gate;  ///< swiglu only, else undefined

 private:
  torch::Tensor activate(const torch::Tensor& hidden, const torch::Tensor& gate) const;

  ExpertOptions options_;
  std::int64_t evaluations_ = 0;
};

}  // namespace clearway::deep
