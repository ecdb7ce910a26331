// BASE layer (Lewis et al. 2021, arXiv 2103.16716): balanced assignment of tokens to experts while training.
//
//   a_i = x' c_i;  training: the assignment with the largest sum of a under which no expert has more than ceil(T / N)
//   tokens; else: the largest a.   y = sigmoid(a_i) E_i(x),  no loss
//
// While training, later tokens compete for places with earlier ones; what is evaluated is greedy and causal. The
// published layer adds the input to the output; that residual belongs to the block around this layer.
#pragma once

#include "clearway/deep/router.hpp"

namespace clearway::deep {

class BaseRouter : public Router {
 public:
  BaseRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

  torch::Tensor centroids;  ///< N x d
};

/// Expert of every token so that the sum of scores is within T * tolerance of the largest possible, and no expert has
/// more than ceil(T / N) tokens. scores: T x N, on any device; returns T, int64. By auction (Bertsekas and Castanon
/// 1989): tokens bid for places, an expert's price is its lowest accepted bid.
torch::Tensor balanced_assignment(const torch::Tensor& scores, double tolerance);

}  // namespace clearway::deep
