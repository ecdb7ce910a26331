// GShard (Lepikhin et al. 2021, arXiv 2006.16668, algorithm 1): top-2 with a random second expert.
//
//   p = softmax(l),  the two largest p_1, p_2,  w = (p_1, p_2) / (p_1 + p_2)
//   while training the second is kept with probability min(1, 2 w_2); the first weight stays as it is when it is not
//   loss = 0.01 N sum_i c_i m_i,   c_i share of tokens whose first expert is i,   m_i = mean p_i
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

class GShardRouter : public Router {
 public:
  GShardRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

 private:
  RouterOptions options_;
  std::shared_ptr<ScoreNetwork> network_;
};

}  // namespace clearway::deep
