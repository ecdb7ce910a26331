// SMoE-Dropout (Chen et al. 2023, arXiv 2303.01610): a frozen random router whose k grows while training.
//
//   l = R x + r with R, r fixed,   k(t) = k_0 + floor((N - k_0 + 1) t / T) up to N,   w = softmax(l over TopK),  no loss
//
// k_0 is `first-top-k`, or `top-k`. The network is meant to be used with as many experts as one can pay for: not while
// training, k is what training has reached, or `top-k` where `first-top-k` is given.
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

class GrowingRouter : public Router {
 public:
  GrowingRouter(const RouterOptions& options, const ExpertOptions& experts, std::int64_t total_steps);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

  /// k at a training step.
  std::int64_t experts_at(std::int64_t step) const;

 private:
  RouterOptions options_;
  std::int64_t experts_, first_, total_steps_;
  std::shared_ptr<ScoreNetwork> network_;
  torch::Tensor reached_;  // buffer: k of the last training step
};

}  // namespace clearway::deep
