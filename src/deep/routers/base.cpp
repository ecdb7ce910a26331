#include "clearway/deep/routers/base.hpp"

#include <torch/nn/init.h>

#include <limits>
#include <queue>
#include <utility>
#include <vector>

namespace clearway::deep {

torch::Tensor balanced_assignment(const torch::Tensor& scores, double tolerance) {
  const torch::Tensor values = scores.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto tokens = values.size(0), experts = values.size(1);
  const auto places = static_cast<std::size_t>((tokens + experts - 1) / experts);
  const double* value = values.data_ptr<double>();
  using Bid = std::pair<double, std::int64_t>;  // bid, token; the lowest is on top
  std::vector<std::priority_queue<Bid, std::vector<Bid>, std::greater<>>> accepted(static_cast<std::size_t>(experts));
  std::vector<double> price(static_cast<std::size_t>(experts), 0.0);
  torch::Tensor out = at::empty({tokens}, at::kLong);
  auto* expert_of = out.data_ptr<std::int64_t>();
  std::vector<std::int64_t> waiting;
  for (std::int64_t t = tokens - 1; t >= 0; --t) waiting.push_back(t);
  while (!waiting.empty()) {
    const std::int64_t token = waiting.back();
    waiting.pop_back();
    double best = -std::numeric_limits<double>::infinity(), second = best;
    std::size_t winner = 0;
    for (std::size_t i = 0; i < price.size(); ++i) {
      const double net = value[token * experts + static_cast<std::int64_t>(i)] - price[i];
      if (net > best) {
        second = best;
        best = net;
        winner = i;
      } else if (net > second) {
        second = net;
      }
    }
    const double raise = experts > 1 ? best - second : 0;
    auto& holders = accepted[winner];
    holders.emplace(price[winner] + raise + tolerance, token);
    expert_of[token] = static_cast<std::int64_t>(winner);
    if (holders.size() > places) {
      waiting.push_back(holders.top().second);
      holders.pop();
    }
    if (holders.size() == places) price[winner] = holders.top().first;
  }
  return out.to(scores.device());
}

BaseRouter::BaseRouter(const RouterOptions&, const ExpertOptions& experts) {
  centroids = register_parameter(
      "centroids", torch::nn::init::orthogonal_(at::empty({experts.experts, experts.inputs}, at::kFloat), 0.1));
}

Routing BaseRouter::route(const RoutingRequest& request, ExpertBank&) {
  Routing out;
  out.scores = at::linear(request.router_input(), centroids);
  out.probabilities = out.scores.softmax(1);
  torch::Tensor chosen;
  if (request.training && out.scores.numel() > 0) {
    const torch::Tensor plain = out.scores.detach();
    const double spread = (plain.max() - plain.min()).item<double>();
    chosen = balanced_assignment(plain, spread > 0 ? 1e-3 * spread : 1);
  } else {
    chosen = out.scores.detach().argmax(1);
  }
  const torch::Tensor slot = chosen.unsqueeze(1);
  out.assignments = assignments_from_slots(slot, out.scores.gather(1, slot).sigmoid());
  return out;
}

}  // namespace clearway::deep
