#include "clearway/deep/routers/top_k.hpp"

#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

TopKRouter::TopKRouter(const RouterOptions& options, const ExpertOptions& experts)
    : options_(options),
      k_(experts_per_token(options, experts.experts)),
      frozen_(options.router == RouterKind::random),
      balance_(options.router == RouterKind::smoe || options.router == RouterKind::switch_top1 ? 0.01 : 0) {
  if (options.router == RouterKind::switch_top1) options_.weights = WeightForm::probability;
  network_ = register_module(
      "network", std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts.experts, frozen_));
}

Routing TopKRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out = route_by_softmax(network_->forward(request.router_input()), k_, options_.weights);
  if (request.training && !frozen_) add_router_losses(out, options_, balance_);
  return out;
}

}  // namespace clearway::deep
