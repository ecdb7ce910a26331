#include "clearway/deep/routers/gshard.hpp"

#include "clearway/base/errors.hpp"
#include "clearway/deep/losses.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

GShardRouter::GShardRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  if (experts.experts < 2) user_error("router 'gshard' needs at least 2 experts, not {}", experts.experts);
  network_ = register_module("network",
                             std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts.experts));
}

Routing GShardRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out;
  out.scores = network_->forward(request.router_input());
  out.probabilities = out.scores.softmax(1);
  torch::Tensor experts = top_experts(out.scores, 2);
  const torch::Tensor weights = softmax_weights(out.scores, experts, WeightForm::renormalised);
  const torch::Tensor first = experts.select(1, 0);
  if (request.training) {
    const torch::Tensor second_weight = weights.detach().select(1, 1);
    const torch::Tensor dropped = at::rand_like(second_weight).ge(2 * second_weight);
    experts = at::stack({first, experts.select(1, 1).masked_fill(dropped, -1)}, 1);
    add_loss(out.auxiliary_loss, own(options_.balance, 0.01), [&] {
      const torch::Tensor share =
          at::bincount(first, {}, out.scores.size(1)).to(out.scores.scalar_type()) / static_cast<double>(first.numel());
      return load_balance_loss(out.probabilities, share);
    });
    RouterOptions others = options_;
    others.balance = 0;
    add_router_losses(out, others, 0);
  }
  out.assignments = assignments_from_slots(experts, weights);
  return out;
}

}  // namespace clearway::deep
