// What most routers do with scores: pick the largest, weigh them, account for the load, add up auxiliary losses.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "clearway/deep/router.hpp"

namespace clearway::deep {

/// The option's value, or the policy's own where the option is negative.
inline double own(double option, double policy) {
  return option < 0 ? policy : option;
}

/// Experts of the k largest scores of every row, best first: T x N -> T x k, int64.
torch::Tensor top_experts(const torch::Tensor& scores, std::int64_t k);
/// Weights of selected experts by softmax of the scores. scores: T x N, experts: T x k -> T x k.
torch::Tensor softmax_weights(const torch::Tensor& scores, const torch::Tensor& experts, WeightForm form);
/// Share of the assignments that each expert has: N numbers that sum to 1, all 0 without assignments.
torch::Tensor load_share(const Assignments& assignments, std::int64_t experts, const torch::Tensor& like);
/// Fills a routing from scores: the k largest per row, weighted by softmax; probabilities by softmax over all.
Routing route_by_softmax(const torch::Tensor& scores, std::int64_t k, WeightForm form);

/// total += coefficient * loss(); with coefficient 0 the loss is not computed.
template <class Loss>
void add_loss(torch::Tensor& total, double coefficient, Loss&& loss) {
  if (coefficient == 0) return;
  const torch::Tensor term = coefficient * loss();
  total = total.defined() ? total + term : term;
}
/// The losses that every learned router shares, on routing.scores, .probabilities and .assignments: load balance, squared
/// logsumexp, entropy, with the policy's own coefficients for the first two.
void add_router_losses(Routing& routing, const RouterOptions& options, double own_balance, double own_z_loss = 0);

}  // namespace clearway::deep
