#include "clearway/deep/assignments.hpp"

#include "clearway/base/errors.hpp"

namespace clearway::deep {

Assignments assignments_from_slots(const torch::Tensor& experts, const torch::Tensor& weights) {
  if (experts.dim() != 2 || experts.sizes() != weights.sizes())
    user_error("assignments: experts and weights must be two T x K tables of one shape");
  const auto count = experts.size(0), slots = experts.size(1);
  const torch::Tensor tokens =
      at::arange(count, experts.options().dtype(at::kLong)).unsqueeze(1).expand({count, slots}).reshape({-1});
  const torch::Tensor flat = experts.reshape({-1});
  const torch::Tensor kept = flat.ge(0);
  if (kept.all().item<bool>()) return {tokens, flat, weights.reshape({-1})};
  const torch::Tensor index = kept.nonzero().squeeze(1);
  return {tokens.index_select(0, index), flat.index_select(0, index), weights.reshape({-1}).index_select(0, index)};
}

torch::Tensor assignment_counts(const Assignments& assignments, std::int64_t experts) {
  return at::bincount(assignments.experts, {}, experts);
}

Assignments with_capacity(const Assignments& assignments, std::int64_t experts, std::int64_t capacity) {
  if (capacity < 1) user_error("capacity must be at least 1 token per expert, not {}", capacity);
  // By (expert, token), stable: position within the expert is the rank minus the rank of its first.
  const torch::Tensor by_token = std::get<1>(assignments.tokens.sort(true, 0, false));
  const torch::Tensor expert_of = assignments.experts.index_select(0, by_token);
  const auto sorted = expert_of.sort(true, 0, false);
  const torch::Tensor order = by_token.index_select(0, std::get<1>(sorted));
  const torch::Tensor counts = assignment_counts(assignments, experts);
  const torch::Tensor first = counts.cumsum(0) - counts;
  const torch::Tensor rank = at::arange(order.numel(), order.options()) - first.index_select(0, std::get<0>(sorted));
  const torch::Tensor index = std::get<0>(order.index_select(0, rank.lt(capacity).nonzero().squeeze(1)).sort());
  return {assignments.tokens.index_select(0, index), assignments.experts.index_select(0, index),
          assignments.weights.index_select(0, index)};
}

}  // namespace clearway::deep
