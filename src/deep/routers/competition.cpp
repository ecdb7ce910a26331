#include "clearway/deep/routers/competition.hpp"

#include <algorithm>

#include "clearway/deep/affinity.hpp"
#include "clearway/deep/competition_schedule.hpp"
#include "clearway/deep/losses.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {
namespace {

/// Whether a sum of affinities of this kind can serve as a divisor.
bool never_negative(Affinity kind) {
  return kind != Affinity::silu && kind != Affinity::combined;
}

}  // namespace

CompetitionPolicy competition_policy(const RouterOptions& options, std::int64_t layers) {
  CompetitionPolicy out;
  if (options.router == RouterKind::compete_v1) {
    out.affinity = Affinity::norm;
    out.weights = CompetitionPolicy::Weights::softmax;
    out.distillation = Distillation::mse_winners;
    out.rate = 0.03;
    out.most_layers = layers;
    out.distillation_weight = 0.05;
    out.competition_balance = 0;
  } else if (options.router == RouterKind::compete_v2) {
    out.weights = CompetitionPolicy::Weights::share;
    out.distillation = Distillation::mse;
    out.distillation_weight = 0.01;
    out.winner_weight = 0.1;
    out.diversity = 0.01;
    out.z_loss = 0.001;
  }
  if (options.affinity != Affinity::policy) out.affinity = options.affinity;
  if (options.distillation != Distillation::policy) out.distillation = options.distillation;
  out.rate = own(options.competition_rate, out.rate);
  if (options.competing_layers >= 0) out.most_layers = options.competing_layers;
  out.distillation_weight = own(options.distillation_weight, out.distillation_weight);
  out.winner_weight = own(options.winner_weight, out.winner_weight);
  out.diversity = own(options.diversity, out.diversity);
  out.competition_balance = own(options.competition_balance, out.competition_balance);
  out.balance = own(options.balance, out.balance);
  out.z_loss = own(options.z_loss, out.z_loss);
  return out;
}

CompetitionRouter::CompetitionRouter(const RouterOptions& options, const ExpertOptions& experts, int layer, int layers,
                                     std::int64_t total_steps)
    : options_(options), policy_(competition_policy(options, layers)) {
  network_ = register_module("network",
                             std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts.experts));
  const torch::Tensor table = competition_schedule({.layers = layers,
                                                    .steps = total_steps,
                                                    .rate = policy_.rate,
                                                    .warmup = options.competition_warmup,
                                                    .most_layers = policy_.most_layers});
  schedule = register_buffer("schedule", table.select(0, layer).clone());
}

bool CompetitionRouter::competes(const RoutingRequest& request) const {
  if (options_.competition == CompetitionUse::oracle) return true;
  if (!request.training) return false;
  if (options_.competition == CompetitionUse::always) return true;
  return request.step >= 0 && request.step < schedule.numel() && schedule[request.step].item<int>() != 0;
}

Routing CompetitionRouter::route(const RoutingRequest& request, ExpertBank& experts) {
  const torch::Tensor scores = network_->forward(request.router_input());
  if (competes(request)) return compete(request, experts, scores);
  Routing out = route_by_softmax(scores, options_.top_k, options_.weights);
  if (request.training) add_router_losses(out, options_, policy_.balance, policy_.z_loss);
  return out;
}

Routing CompetitionRouter::route_by_response(const RoutingRequest& request, ExpertBank& experts, std::int64_t) {
  return compete(request, experts, network_->forward(request.router_input()));
}

Routing CompetitionRouter::compete(const RoutingRequest& request, ExpertBank& experts,
                                   const torch::Tensor& scores) const {
  const torch::Tensor& x = request.x;
  const auto tokens = x.size(0), count = scores.size(1), width = x.size(1);
  const auto widest = std::max(experts.options().hidden, width);
  const std::int64_t bytes_per_token = count * widest * x.element_size();

  Routing out;
  out.competed = true;
  torch::Tensor strength;
  if (tokens * bytes_per_token < response_bytes) {
    out.responses = experts.respond_all(x);
    strength = affinities(out.responses, policy_.affinity);
  } else {
    strength = chunked_affinities(x, experts, policy_.affinity, response_bytes / bytes_per_token);
  }
  if (policy_.affinity == Affinity::combined) strength = 0.5 * strength + 0.5 * scores.detach();

  const torch::Tensor winners = top_experts(strength, options_.top_k);
  const bool standard = policy_.weights == CompetitionPolicy::Weights::standardised;
  const torch::Tensor sharp = options_.target_sharpness * standardised(strength);
  const torch::Tensor won = strength.gather(1, winners);
  torch::Tensor weights;
  if (standard)
    weights = sharp.gather(1, winners).softmax(1);
  else if (policy_.weights == CompetitionPolicy::Weights::share && never_negative(policy_.affinity))
    weights = won / won.sum(1, true).clamp_min(1e-12);
  else
    weights = won.softmax(1);
  out.assignments = assignments_from_slots(winners, weights);
  out.scores = strength;
  out.affinities = strength;
  out.probabilities = scores.softmax(1);

  torch::Tensor answers;  // T x K x d, of the winners
  if (out.responses.defined()) {
    if (policy_.diversity != 0)
      answers = out.responses.gather(1, winners.unsqueeze(2).expand({tokens, options_.top_k, width}));
  } else {
    out.responses = experts.respond(x, out.assignments);
    answers = out.responses.reshape({tokens, options_.top_k, width});
  }
  if (!request.training) return out;

  const torch::Tensor logits = standard ? sharp : strength;
  add_loss(out.auxiliary_loss, policy_.distillation_weight, [&] {
    torch::Tensor target, loss;
    switch (policy_.distillation) {
      case Distillation::kl:
        target = sharp.detach().softmax(1);
        loss = kl_distillation(scores, target);
        break;
      case Distillation::kl_winners:
        target = at::zeros_like(scores.detach()).scatter_(1, winners, sharp.gather(1, winners).softmax(1).detach());
        loss = kl_distillation(scores, target);
        break;
      case Distillation::mse_winners:
        target = at::zeros_like(scores.detach()).scatter_(1, winners, won.detach().softmax(1));
        loss = mse_distillation(scores, target);
        break;
      default:
        target = strength.detach().softmax(1);
        loss = mse_distillation(scores, target);
    }
    add_loss(loss, policy_.winner_weight, [&] { return winner_distillation(scores, target, winners); });
    return loss;
  });
  add_loss(out.auxiliary_loss, policy_.diversity, [&] { return diversity_loss(answers); });
  add_loss(out.auxiliary_loss, policy_.competition_balance,
           [&] { return load_balance_loss(logits.softmax(1), load_share(out.assignments, count, logits)); });
  return out;
}

}  // namespace clearway::deep
