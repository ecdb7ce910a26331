// StableMoE (Dai et al. 2022, arXiv 2204.08396): learn a routing, distil it into a light router, freeze that.
//
//   stage 1  a_i = x' c_i,  the largest wins;  y = sigmoid(a_i) E_i(x)
//            loss = 0.3 / T sum_i ((n_i - n) / n) sum_{t in i} sigmoid(a_ti)      n_i tokens of expert i, n = T / N
//                 + 0.3 mean cross-entropy of the light router to the winner
//            light router: an embedding of the token id (50 numbers) times centroids of its own
//   stage 2  the light router's choice for every id, frozen in a table; the weight is still sigmoid(x' c_i)
//
// Stage 1 is the first tenth of training (`stage-one`). Not while training: the light router decides, as it will. The
// published layers add the input to the output; that residual belongs to the block around this layer.
#pragma once

#include "clearway/deep/router.hpp"

namespace clearway::deep {

class StableRouter : public Router {
 public:
  /// Throws std::invalid_argument without a vocabulary. total_steps 0: training stays in stage 1.
  StableRouter(const RouterOptions& options, const ExpertOptions& experts, std::int64_t vocabulary,
               std::int64_t total_steps);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

  bool frozen() const { return frozen_.item<bool>(); }

 private:
  void freeze();

  RouterOptions options_;
  std::int64_t vocabulary_, stage_one_steps_;
  torch::Tensor centroids_;                    // N x d
  torch::Tensor embedding_, light_centroids_;  // V x e, N x e
  torch::Tensor table_, frozen_;               // buffers: V experts, one bool
};

}  // namespace clearway::deep
