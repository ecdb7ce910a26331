// Laplace router (FuseMoE: Han et al. 2024, arXiv 2402.03226): core's Laplace gate.
//
//   l_i = -|x - c_i| / tau,   TopK(l),  w = softmax(l over TopK),  loss 0.01 N sum f P;  tau = 1
//
// Centres start standard normal, the scale of layer-normalised inputs: nearer to 0 all distances would be |x|.
#pragma once

#include <memory>

#include "clearway/core/gates/laplace.hpp"
#include "clearway/deep/gate_module.hpp"
#include "clearway/deep/router.hpp"

namespace clearway::deep {

class LaplaceRouter : public Router {
 public:
  LaplaceRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

 private:
  RouterOptions options_;
  std::shared_ptr<GateModule<LaplaceGate>> gate_;
};

}  // namespace clearway::deep
