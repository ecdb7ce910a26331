// Sigmoid scores: core's sigmoid gate, top-k of it.
//
//   g = sigmoid(l),   w = g / sum of g over the selected                  (or g itself: `weights probability`)
//
//   sigmoid  TopK(g);  loss -0.01 H(mean_t softmax(l_t))                  (sigma-MoE, Csordas et al. 2023, arXiv 2310.10837)
//   bias     TopK(g + b), b not in the weights;  after each step b_i += 0.001 sign(1/N - f_i);  loss 0.0001 N sum f P
//                                       (Wang et al. 2024, arXiv 2408.15664; DeepSeek-V3, arXiv 2412.19437)
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

class SigmoidRouter : public Router {
 public:
  /// options.router is sigmoid or bias.
  SigmoidRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;
  void after_step(const torch::Tensor& load, std::int64_t step) override;

  torch::Tensor selection_bias;  ///< N, a buffer; undefined for sigmoid

 private:
  RouterOptions options_;
  std::shared_ptr<ScoreNetwork> network_;
};

}  // namespace clearway::deep
