// Scores of learned routers: core's softmax gate (one linear map), or that gate on top of one hidden layer.
//
//   linear:  l = W x + b
//   mlp:     l = W relu(V x + c) + b, hidden width max(d, 64): can follow a norm, which is quadratic in x
#pragma once

#include <torch/nn/module.h>

#include <memory>

#include "clearway/core/gates/softmax.hpp"
#include "clearway/deep/gate_module.hpp"
#include "clearway/deep/router_options.hpp"

namespace clearway::deep {

class ScoreNetwork : public torch::nn::Module {
 public:
  /// Weights uniform within +-1/sqrt(fan-in), biases 0, from torch's generator. `frozen`: buffers, never learned.
  ScoreNetwork(RouterNetwork kind, std::int64_t inputs, std::int64_t experts, bool frozen = false);

  /// x T x d -> T x N.
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  torch::Tensor hidden_weight_, hidden_bias_;  // undefined for a linear network
  std::shared_ptr<GateModule<SoftmaxGate>> gate_;
};

}  // namespace clearway::deep
