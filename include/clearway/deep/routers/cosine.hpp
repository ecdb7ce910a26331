// Cosine routers: core's cosine gate on a projection of the input.
//
//   z = D x in R^e,   l_i = cos(z, c_i) / tau,   TopK(l),  w = softmax(l over TopK),  loss 0.01 N sum f P
//
//   xmoe    both sides normalised, tau learned as exp(.), 0.07 at the start       (Chi et al. 2022, arXiv 2204.09179)
//   cosine  norms perturbed, z / (|z| + theta) and c / (|c| + theta), theta = 0.1, tau = 0.3 fixed
//                                                                          (Nguyen et al. 2024, arXiv 2405.14131)
//
// e = max(8, N / 2), at most d: N/2 as in the paper, but never so small that the experts' directions crowd.
#pragma once

#include <memory>

#include "clearway/core/gates/cosine.hpp"
#include "clearway/deep/gate_module.hpp"
#include "clearway/deep/router.hpp"

namespace clearway::deep {

class CosineRouter : public Router {
 public:
  /// options.router is xmoe or cosine.
  CosineRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

 private:
  RouterOptions options_;
  torch::Tensor projection_;       // e x d
  torch::Tensor log_temperature_;  // xmoe only
  std::shared_ptr<GateModule<CosineGate>> gate_;
};

}  // namespace clearway::deep
