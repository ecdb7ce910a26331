#include "clearway/deep/routers/expert_choice.hpp"

#include <algorithm>

#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

ExpertChoiceRouter::ExpertChoiceRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  network_ = register_module("network",
                             std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts.experts));
}

Routing ExpertChoiceRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out;
  out.scores = network_->forward(request.router_input());
  out.probabilities = out.scores.softmax(1);
  const auto tokens = out.scores.size(0), experts = out.scores.size(1);
  const auto each = std::min(tokens, (options_.top_k * tokens + experts - 1) / experts);
  const auto taken = out.probabilities.t().topk(each, 1);  // N x C
  out.assignments.tokens = std::get<1>(taken).reshape({-1});
  out.assignments.experts =
      at::arange(experts, out.assignments.tokens.options()).unsqueeze(1).expand({experts, each}).reshape({-1});
  out.assignments.weights = std::get<0>(taken).reshape({-1});
  if (request.training) add_router_losses(out, options_, 0);
  return out;
}

}  // namespace clearway::deep
