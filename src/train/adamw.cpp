#include "clearway/train/adamw.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::train {

AdamW::AdamW(std::vector<AdamWParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const AdamWParameter& parameter : parameters_) {
    mean_.push_back(at::zeros_like(parameter.tensor, at::MemoryFormat::Contiguous).detach());
    square_.push_back(at::zeros_like(parameter.tensor, at::MemoryFormat::Contiguous).detach());
  }
}

void AdamW::step(double rate) {
  const torch::NoGradGuard off;
  ++steps_;
  const double first = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
  const double second = 1 - std::pow(options_.beta2, static_cast<double>(steps_));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    torch::Tensor& tensor = parameters_[i].tensor;
    const torch::Tensor gradient = tensor.grad();
    if (!gradient.defined()) continue;
    if (parameters_[i].decays) tensor.mul_(1 - rate * options_.weight_decay);
    mean_[i].mul_(options_.beta1).add_(gradient, 1 - options_.beta1);
    square_[i].mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
    tensor.addcdiv_(mean_[i], (square_[i] / second).sqrt_().add_(options_.epsilon), -rate / first);
  }
}

void AdamW::zero_grad() {
  for (AdamWParameter& parameter : parameters_) parameter.tensor.mutable_grad() = torch::Tensor();
}

NamedTensors AdamW::state() const {
  NamedTensors out;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    out["mean." + parameters_[i].name] = mean_[i];
    out["square." + parameters_[i].name] = square_[i];
  }
  out["steps"] = at::full({1}, steps_, at::kLong);
  return out;
}

void AdamW::load_state(const NamedTensors& state, const std::string& source) {
  const auto find = [&](const std::string& name) -> const torch::Tensor& {
    const auto found = state.find(name);
    if (found == state.end()) user_error("{}: tensor '{}' is missing", source, name);
    return found->second;
  };
  if (state.size() != 2 * parameters_.size() + 1)
    user_error("{}: {} tensors for an optimiser of {} parameters, which has {}", source, state.size(),
               parameters_.size(), 2 * parameters_.size() + 1);
  const auto load = [&](const std::string& name, torch::Tensor& to) {
    const torch::Tensor& from = find(name);
    if (from.sizes() != to.sizes())
      user_error("{}: tensor '{}' is of another shape than the model's parameter", source, name);
    to.copy_(from);
  };
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    load("mean." + parameters_[i].name, mean_[i]);
    load("square." + parameters_[i].name, square_[i]);
  }
  steps_ = find("steps").item<std::int64_t>();
}

double clip_gradients(std::vector<AdamWParameter>& parameters, double largest) {
  const torch::NoGradGuard off;
  double sum = 0;
  for (const AdamWParameter& parameter : parameters) {
    const torch::Tensor gradient = parameter.tensor.grad();
    if (gradient.defined()) sum += gradient.pow(2).sum(at::kDouble).item<double>();
  }
  const double norm = std::sqrt(sum);
  if (largest > 0 && norm > largest)
    for (AdamWParameter& parameter : parameters)
      if (parameter.tensor.grad().defined()) parameter.tensor.mutable_grad().mul_(largest / norm);
  return norm;
}

}  // namespace clearway::train
