#include "clearway/deep/routers/noisy.hpp"

#include "clearway/deep/losses.hpp"
#include "clearway/deep/routers/selection.hpp"
#include "clearway/deep/tensor_array.hpp"

namespace clearway::deep {

torch::Tensor noisy_load(const torch::Tensor& clean, const torch::Tensor& noisy, const torch::Tensor& deviation,
                         std::int64_t k) {
  if (k >= clean.size(1)) return at::full({clean.size(1)}, clean.size(0), clean.options().requires_grad(false));
  const torch::Tensor best = std::get<0>(noisy.topk(k + 1, 1));
  const torch::Tensor kth = best.narrow(1, k - 1, 1), next = best.narrow(1, k, 1);
  const torch::Tensor threshold = at::where(noisy.gt(next), next.expand_as(noisy), kth.expand_as(noisy));
  const torch::Tensor standardised = (clean - threshold) / deviation;
  return normal_cdf(standardised).sum(0);
}

NoisyRouter::NoisyRouter(const RouterOptions& options, const ExpertOptions& experts) : options_(options) {
  weight = register_parameter("weight", at::zeros({experts.experts, experts.inputs}));
  noise_weight = register_parameter("noise_weight", at::zeros({experts.experts, experts.inputs}));
}

Routing NoisyRouter::route(const RoutingRequest& request, ExpertBank&) {
  const torch::Tensor& x = request.router_input();
  const double noise = own(options_.noise, 1);
  const torch::Tensor clean = at::linear(x, weight);
  if (!request.training) return route_by_softmax(clean, options_.top_k, options_.weights);
  torch::Tensor noisy = clean, deviation;
  if (noise > 0) {
    deviation = noise * (at::softplus(at::linear(x, noise_weight)) + 0.01);
    noisy = clean + at::randn_like(clean) * deviation;
  }
  Routing out = route_by_softmax(noisy, options_.top_k, options_.weights);
  const double balance = own(options_.balance, 0.1);
  add_loss(out.auxiliary_loss, balance, [&] {
    const torch::Tensor importance = at::zeros({clean.size(1)}, clean.options().requires_grad(false))
                                         .index_add(0, out.assignments.experts, out.assignments.weights);
    return squared_variation(importance);
  });
  // Without noise the load has no derivative.
  if (noise > 0)
    add_loss(out.auxiliary_loss, balance,
             [&] { return squared_variation(noisy_load(clean, noisy, deviation, options_.top_k)); });
  RouterOptions others = options_;
  others.balance = 0;
  add_router_losses(out, others, 0);
  return out;
}

}  // namespace clearway::deep
