#include "clearway/deep/routers/relu.hpp"

#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

ReluRouter::ReluRouter(const RouterOptions& options, const ExpertOptions& experts)
    : options_(options), experts_(experts.experts) {
  network_ =
      register_module("network", std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts_));
  lambda = register_buffer("lambda", at::full({1}, 1e-8));
  inactive = register_buffer("inactive", at::zeros({1}));
}

Routing ReluRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out;
  out.scores = network_->forward(request.router_input());
  const torch::Tensor weights = out.scores.relu();
  const torch::Tensor active = weights.detach().gt(0);
  // A token for which nobody is active has no distribution: equal shares stand for it.
  const torch::Tensor total = weights.sum(1, true);
  out.probabilities = at::where(total.gt(0), weights / total.clamp_min(1e-20),
                                at::full_like(weights, 1.0 / static_cast<double>(experts_)));
  const torch::Tensor pairs = active.nonzero();
  out.assignments.tokens = pairs.select(1, 0).contiguous();
  out.assignments.experts = pairs.select(1, 1).contiguous();
  out.assignments.weights = weights.masked_select(active);
  if (request.training) {
    const torch::Tensor active_tokens = active.to(weights.scalar_type()).mean(0);  // N, n_i / T
    inactive.copy_(1 - active_tokens.mean());
    const torch::Tensor load = active_tokens * (static_cast<double>(experts_) / static_cast<double>(options_.top_k));
    // A negative option leaves the strength to the rule; otherwise it is fixed.
    const torch::Tensor loss = (load * weights.mean(0)).sum();
    out.auxiliary_loss =
        options_.balance < 0 ? lambda.to(weights.scalar_type()).squeeze(0) * loss : options_.balance * loss;
  }
  return out;
}

void ReluRouter::after_step(const torch::Tensor&, std::int64_t) {
  const double wanted = 1 - static_cast<double>(options_.top_k) / static_cast<double>(experts_);
  lambda.mul_(inactive.item<double>() < wanted ? 1.2 : 1 / 1.2);
}

}  // namespace clearway::deep
