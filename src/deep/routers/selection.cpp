#include "clearway/deep/routers/selection.hpp"

#include <algorithm>

#include "clearway/deep/losses.hpp"

namespace clearway::deep {

torch::Tensor top_experts(const torch::Tensor& scores, std::int64_t k) {
  return std::get<1>(scores.detach().topk(k, 1));
}

torch::Tensor softmax_weights(const torch::Tensor& scores, const torch::Tensor& experts, WeightForm form) {
  return form == WeightForm::renormalised ? scores.gather(1, experts).softmax(1) : scores.softmax(1).gather(1, experts);
}

torch::Tensor load_share(const Assignments& assignments, std::int64_t experts, const torch::Tensor& like) {
  return assignment_counts(assignments, experts).to(like.scalar_type()) /
         static_cast<double>(std::max<std::int64_t>(1, assignments.count()));
}

Routing route_by_softmax(const torch::Tensor& scores, std::int64_t k, WeightForm form) {
  Routing out;
  out.scores = scores;
  out.probabilities = scores.softmax(1);
  const torch::Tensor experts = top_experts(scores, k);
  out.assignments = assignments_from_slots(experts, softmax_weights(scores, experts, form));
  return out;
}

void add_router_losses(Routing& routing, const RouterOptions& options, double own_balance, double own_z_loss) {
  add_loss(routing.auxiliary_loss, own(options.balance, own_balance), [&] {
    const torch::Tensor load = load_share(routing.assignments, routing.probabilities.size(1), routing.probabilities);
    return load_balance_loss(routing.probabilities, load);
  });
  add_loss(routing.auxiliary_loss, own(options.z_loss, own_z_loss), [&] { return z_loss(routing.scores); });
  add_loss(routing.auxiliary_loss, options.entropy_loss, [&] { return entropy_loss(routing.scores); });
}

}  // namespace clearway::deep
