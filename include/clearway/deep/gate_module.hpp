// A gate of core as a torch module: the same formula, its parameters registered under their visit() names.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <string_view>
#include <utility>

#include "clearway/core/gates/gate.hpp"
#include "clearway/deep/tensor_array.hpp"

namespace clearway::deep {

/// Which parameters of a gate are learned; the others are buffers.
enum class GateLearning { all, without_intercepts, nothing };

/// `Gate` is one of core/gates; its settings (temperature, smoothing) are fixed.
template <class Gate>
class GateModule : public torch::nn::Module {
 public:
  using Parameters = typename Gate::template Parameters<torch::Tensor>;

  /// d inputs and k experts, all parameters 0. Without intercepts: for routers whose published form has none.
  GateModule(Gate gate, std::int64_t d, std::int64_t k, GateLearning learning = GateLearning::all)
      : gate_(std::move(gate)) {
    parameters = gate_.zero_parameters(at::empty({0, 0}, at::kFloat), d, k);
    Parameters::visit(parameters, [&](std::string_view name, torch::Tensor& a) {
      const bool fixed =
          learning == GateLearning::nothing || (learning == GateLearning::without_intercepts && name == "intercepts");
      a = fixed ? register_buffer(std::string(name), a) : register_parameter(std::string(name), a);
    });
  }

  /// x n x d -> n x k; throws std::invalid_argument for another width, as the gate does.
  torch::Tensor scores(const torch::Tensor& x) const { return gate_.scores(x, parameters); }
  /// x n x d -> n x k, rows of exp() sum to 1.
  torch::Tensor log_weights(const torch::Tensor& x) const { return gate_.log_weights(x, parameters); }

  Parameters parameters;

 private:
  Gate gate_;
};

}  // namespace clearway::deep
