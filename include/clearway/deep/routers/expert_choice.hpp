// Expert choice (Zhou et al. 2022, arXiv 2202.09368): every expert takes the tokens it likes best.
//
//   S = softmax over experts of the scores,   expert i takes its C largest S_ti,  C = ceil(K T / N),   w = S_ti
//
// `top-k` is the capacity factor, experts per token on average. Balanced by construction, no loss; not causal.
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

class ExpertChoiceRouter : public Router {
 public:
  ExpertChoiceRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;
  bool causal() const override { return false; }

 private:
  RouterOptions options_;
  std::shared_ptr<ScoreNetwork> network_;
};

}  // namespace clearway::deep
