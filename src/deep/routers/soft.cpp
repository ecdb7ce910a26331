#include "clearway/deep/routers/soft.hpp"

#include <cmath>

namespace clearway::deep {

SoftRouter::SoftRouter(const RouterOptions& options, const ExpertOptions& experts) : experts_(experts.experts) {
  const double deviation = 1 / std::sqrt(static_cast<double>(experts.inputs));
  phi = register_parameter("phi", at::randn({experts.inputs, experts_ * options.top_k}) * deviation);
  scale = register_parameter("scale", at::ones({1}));
}

Routing SoftRouter::route(const RoutingRequest& request, ExpertBank&) {
  const torch::Tensor& x = request.router_input();
  const torch::Tensor tokens = x / x.norm(2, 1, true).clamp_min(1e-12);
  const torch::Tensor slots = phi / phi.norm(2, 0, true).clamp_min(1e-12);
  const torch::Tensor logits = at::mm(tokens, slots) * scale;
  Routing out;
  out.soft = SoftSlots{logits.softmax(0), logits.softmax(1)};
  const auto by_expert = logits.reshape({x.size(0), experts_, -1});
  out.scores = by_expert.logsumexp(2);
  out.probabilities = out.scores.softmax(1);
  return out;
}

}  // namespace clearway::deep
