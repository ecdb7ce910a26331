// Top-k of a softmax router and three policies that are special cases of it.
//
//   l = router(x),  p = softmax(l),  TopK(l),  w = softmax(l over TopK) or p, as it is
//
//   smoe    auxiliary loss 0.01 N sum_i f_i P_i           (Shazeer et al. 2017; Fedus et al. 2022, eq. 4)
//   switch  K = 1, w = p_1 as it is, the same loss        (Fedus et al. 2022, arXiv 2101.03961)
//   random  the router is a frozen random map, no loss    (control)
//   dense   K = N, w = p, no loss                         (reference)
//
// With renormalised weights and K = 1 the weight is 1 and the router gets no gradient from the task.
#pragma once

#include <memory>

#include "clearway/deep/router.hpp"
#include "clearway/deep/routers/score_network.hpp"

namespace clearway::deep {

class TopKRouter : public Router {
 public:
  /// options.router is one of smoe, switch_top1, random, dense.
  TopKRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

 private:
  RouterOptions options_;
  std::int64_t k_;
  bool frozen_;
  double balance_;
  std::shared_ptr<ScoreNetwork> network_;
};

}  // namespace clearway::deep
