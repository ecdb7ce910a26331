#include "clearway/deep/routers/laplace.hpp"

#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

LaplaceRouter::LaplaceRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  LaplaceGate gate;
  gate.temperature = own(options.router_temperature, 1);
  check_temperature("router-temperature", gate.temperature);
  gate_ = register_module("gate", std::make_shared<GateModule<LaplaceGate>>(gate, experts.inputs, experts.experts,
                                                                            GateLearning::without_intercepts));
  const at::NoGradGuard no_grad;
  gate_->parameters.centres.normal_();
}

Routing LaplaceRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out = route_by_softmax(gate_->scores(request.router_input()), options_.top_k, options_.weights);
  if (request.training) add_router_losses(out, options_, 0.01);
  return out;
}

}  // namespace clearway::deep
