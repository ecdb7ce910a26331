#include "clearway/deep/routers/cosine.hpp"

#include <torch/nn/init.h>

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

CosineRouter::CosineRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  const bool learned = options.router == RouterKind::xmoe;
  const std::int64_t width = options.router_dimension < 0
                                 ? std::min(experts.inputs, std::max<std::int64_t>(8, experts.experts / 2))
                                 : options.router_dimension;
  if (width < 1) user_error("router-dimension must be at least 1, or -1 for the policy's own, not {}", width);
  const double temperature = own(options.router_temperature, learned ? 0.07 : 0.3);
  check_temperature("router-temperature", temperature);
  const double bound = 1 / std::sqrt(static_cast<double>(experts.inputs));
  projection_ =
      register_parameter("projection", at::empty({width, experts.inputs}, at::kFloat).uniform_(-bound, bound));
  CosineGate gate;
  gate.temperature = learned ? 1 : temperature;
  gate.perturbation = learned ? 0 : own(options.noise, 0.1);
  gate_ = register_module(
      "gate", std::make_shared<GateModule<CosineGate>>(gate, width, experts.experts, GateLearning::without_intercepts));
  torch::nn::init::orthogonal_(gate_->parameters.directions, 0.32);
  if (learned) log_temperature_ = register_parameter("log_temperature", at::full({1}, std::log(temperature)));
}

Routing CosineRouter::route(const RoutingRequest& request, ExpertBank&) {
  torch::Tensor scores = gate_->scores(at::linear(request.router_input(), projection_));
  if (log_temperature_.defined()) scores = scores * (-log_temperature_).exp();
  Routing out = route_by_softmax(scores, options_.top_k, options_.weights);
  if (request.training) add_router_losses(out, options_, 0.01);
  return out;
}

}  // namespace clearway::deep
