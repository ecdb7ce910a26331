#include "clearway/deep/routers/stable.hpp"

#include <torch/nn/init.h>

#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/deep/routers/hash.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {
namespace {

torch::Tensor one_hot(const torch::Tensor& chosen, std::int64_t experts, const torch::Tensor& like) {
  return at::zeros({chosen.numel(), experts}, like.options().requires_grad(false)).scatter_(1, chosen.unsqueeze(1), 1);
}

}  // namespace

StableRouter::StableRouter(const RouterOptions& options, const ExpertOptions& experts, std::int64_t vocabulary,
                           std::int64_t total_steps)
    : options_(options), vocabulary_(vocabulary) {
  if (vocabulary < 1) user_error("router 'stable' needs token ids: a vocabulary of at least 1, not {}", vocabulary);
  stage_one_steps_ = total_steps > 0 ? std::llround(options.stage_one * static_cast<double>(total_steps))
                                     : std::numeric_limits<std::int64_t>::max();
  const std::int64_t width = options.router_dimension < 0 ? 50 : options.router_dimension;
  if (width < 1) user_error("router-dimension must be at least 1, or -1 for the policy's own, not {}", width);
  const auto orthogonal = [](std::int64_t rows, std::int64_t cols) {
    return torch::nn::init::orthogonal_(at::empty({rows, cols}, at::kFloat), 0.1);
  };
  centroids_ = register_parameter("centroids", orthogonal(experts.experts, experts.inputs));
  embedding_ = register_parameter("embedding", at::randn({vocabulary, width}));
  light_centroids_ = register_parameter("light_centroids", orthogonal(experts.experts, width));
  table_ = register_buffer("table", at::zeros({vocabulary}, at::kLong));
  frozen_ = register_buffer("frozen", at::zeros({1}, at::kBool));
}

void StableRouter::freeze() {
  const at::NoGradGuard no_grad;
  table_.copy_(at::linear(embedding_, light_centroids_).argmax(1));
  frozen_.fill_(true);
}

Routing StableRouter::route(const RoutingRequest& request, ExpertBank&) {
  check_token_ids(request, vocabulary_, "stable");
  const torch::Tensor& x = request.router_input();
  const auto experts = centroids_.size(0), tokens = x.size(0);
  if (request.training && !frozen() && request.step >= stage_one_steps_) freeze();

  Routing out;
  const torch::Tensor affinity = at::linear(x, centroids_);
  torch::Tensor chosen;
  if (frozen()) {
    chosen = table_.index_select(0, request.ids);
    out.scores = out.probabilities = one_hot(chosen, experts, x);
  } else {
    const torch::Tensor light = at::linear(embedding_.index_select(0, request.ids), light_centroids_);
    if (request.training) {
      chosen = affinity.detach().argmax(1);
      out.scores = affinity;
      out.probabilities = affinity.softmax(1);
      const torch::Tensor counts = at::bincount(chosen, {}, experts).to(x.scalar_type());
      const double fair = static_cast<double>(tokens) / static_cast<double>(experts);
      add_loss(out.auxiliary_loss, own(options_.balance, 0.3), [&] {
        const torch::Tensor excess = (counts / fair - 1).index_select(0, chosen);
        return (excess * affinity.gather(1, chosen.unsqueeze(1)).squeeze(1).sigmoid()).mean();
      });
      add_loss(out.auxiliary_loss, own(options_.distillation_weight, 0.3),
               [&] { return -light.log_softmax(1).gather(1, chosen.unsqueeze(1)).mean(); });
    } else {
      chosen = light.detach().argmax(1);
      out.scores = light;
      out.probabilities = light.softmax(1);
    }
  }
  const torch::Tensor slot = chosen.unsqueeze(1);
  out.assignments = assignments_from_slots(slot, affinity.gather(1, slot).sigmoid());
  return out;
}

}  // namespace clearway::deep
