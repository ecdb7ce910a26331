// ReMoE (Wang et al. 2025, arXiv 2412.14711): ReLU scores are the weights, and whoever is positive is active.
//
//   w_i = max(0, l_i),   loss = lambda sum_i f_i mean_t w_ti,   f_i = N n_i / (K T),  n_i tokens for which i is active
//   after each step  lambda *= 1.2 if the share of inactive pairs is below 1 - K / N, else lambda /= 1.2;  1e-8 at first
//
// The number of active experts falls from about N / 2 to K while training; `top-k` is the target.
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

class ReluRouter : public Router {
 public:
  ReluRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;
  void after_step(const torch::Tensor& load, std::int64_t step) override;

  torch::Tensor lambda;    ///< buffer, one number
  torch::Tensor inactive;  ///< buffer: share of inactive pairs at the last training call

 private:
  RouterOptions options_;
  std::int64_t experts_;
  std::shared_ptr<ScoreNetwork> network_;
};

}  // namespace clearway::deep
