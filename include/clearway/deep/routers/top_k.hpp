// Plain top-k routing (SMoE): the K highest scores of a linear router, weighted by their softmax.
//
//   l = W x + b,   S = the K largest of l,   w_i = exp(l_i) / sum_{j in S} exp(l_j),   loss: c_bal N sum_i f_i P_i
//
// With K = 1 these weights are 1 whatever the scores, and the router gets no gradient from the task; the weight form
// `probability` (Switch) gives it one.
#pragma once

#include "clearway/deep/router.hpp"

namespace clearway::deep {

class TopKRouter : public Router {
 public:
  TopKRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

  torch::Tensor weight, bias;  ///< N x d, N

 private:
  RouterOptions options_;
};

}  // namespace clearway::deep
