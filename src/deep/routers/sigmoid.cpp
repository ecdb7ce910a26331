#include "clearway/deep/routers/sigmoid.hpp"

#include "clearway/deep/losses.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

SigmoidRouter::SigmoidRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  network_ = register_module("network",
                             std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts.experts));
  if (options.router == RouterKind::bias)
    selection_bias = register_buffer("selection_bias", at::zeros({experts.experts}));
}

Routing SigmoidRouter::route(const RoutingRequest& request, ExpertBank&) {
  const torch::Tensor linear = network_->forward(request.router_input());
  // In logarithms: softmax of log g over a set is g divided by its sum there.
  const torch::Tensor log_g = at::log_sigmoid(linear);
  Routing out;
  out.probabilities = log_g.softmax(1);
  out.scores = selection_bias.defined() ? log_g.exp() + selection_bias : linear;
  const torch::Tensor experts = top_experts(out.scores, options_.top_k);
  const torch::Tensor chosen = log_g.gather(1, experts);
  out.assignments =
      assignments_from_slots(experts, options_.weights == WeightForm::renormalised ? chosen.softmax(1) : chosen.exp());
  if (!request.training) return out;
  RouterOptions others = options_;
  if (!selection_bias.defined()) {
    add_loss(out.auxiliary_loss, own(options_.balance, 0.01), [&] { return entropy_balance_loss(linear); });
    others.balance = 0;
  }
  Routing by_linear = out;  // z-loss and entropy are those of the linear scores
  by_linear.scores = linear;
  add_router_losses(by_linear, others, 1e-4);
  out.auxiliary_loss = by_linear.auxiliary_loss;
  return out;
}

void SigmoidRouter::after_step(const torch::Tensor& load, std::int64_t) {
  if (!selection_bias.defined()) return;
  const torch::Tensor fair = 1 / static_cast<double>(selection_bias.numel()) - load.detach();
  selection_bias.add_(fair.to(selection_bias.options()).sign(), 1e-3);
}

}  // namespace clearway::deep
