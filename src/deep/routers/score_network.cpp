#include "clearway/deep/routers/score_network.hpp"

#include <algorithm>
#include <cmath>

namespace clearway::deep {

ScoreNetwork::ScoreNetwork(RouterNetwork kind, std::int64_t inputs, std::int64_t experts, bool frozen) {
  const auto bound = [](std::int64_t fan_in) { return 1 / std::sqrt(static_cast<double>(fan_in)); };
  std::int64_t width = inputs;
  if (kind == RouterNetwork::mlp) {
    width = std::max<std::int64_t>(inputs, 64);
    hidden_weight_ = at::empty({width, inputs}, at::kFloat).uniform_(-bound(inputs), bound(inputs));
    hidden_bias_ = at::zeros({width});
    if (frozen) {
      register_buffer("hidden_weight", hidden_weight_);
      register_buffer("hidden_bias", hidden_bias_);
    } else {
      register_parameter("hidden_weight", hidden_weight_);
      register_parameter("hidden_bias", hidden_bias_);
    }
  }
  gate_ =
      register_module("gate", std::make_shared<GateModule<SoftmaxGate>>(
                                  SoftmaxGate{}, width, experts, frozen ? GateLearning::nothing : GateLearning::all));
  const at::NoGradGuard no_grad;
  gate_->parameters.slopes.uniform_(-bound(width), bound(width));
}

torch::Tensor ScoreNetwork::forward(const torch::Tensor& x) const {
  return gate_->scores(hidden_weight_.defined() ? at::linear(x, hidden_weight_, hidden_bias_).relu() : x);
}

}  // namespace clearway::deep
