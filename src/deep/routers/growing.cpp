#include "clearway/deep/routers/growing.hpp"

#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/deep/routers/selection.hpp"

namespace clearway::deep {

GrowingRouter::GrowingRouter(const RouterOptions& options, const ExpertOptions& experts, std::int64_t total_steps)
    : options_(options),
      experts_(experts.experts),
      first_(options.first_top_k < 0 ? options.top_k : options.first_top_k),
      total_steps_(total_steps) {
  if (first_ < 1 || first_ > experts_)
    user_error("first-top-k must be between 1 and the number of experts, {}, not {}", experts_, first_);
  network_ = register_module("network",
                             std::make_shared<ScoreNetwork>(options.router_network, experts.inputs, experts_, true));
  reached_ = register_buffer("reached", at::full({1}, first_, at::kLong));
}

std::int64_t GrowingRouter::experts_at(std::int64_t step) const {
  if (total_steps_ <= 0) return first_;
  return std::min(experts_, first_ + (experts_ - first_ + 1) * std::min(step, total_steps_) / total_steps_);
}

Routing GrowingRouter::route(const RoutingRequest& request, ExpertBank&) {
  std::int64_t k = options_.top_k;
  if (request.training) {
    k = experts_at(request.step);
    reached_.fill_(k);
  } else if (options_.first_top_k < 0) {
    k = reached_.item<std::int64_t>();
  }
  return route_by_softmax(network_->forward(request.router_input()), k, options_.weights);
}

}  // namespace clearway::deep
