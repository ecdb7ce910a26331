// Noisy top-k (Shazeer et al. 2017, arXiv 1701.06538, section 2.1 and appendix A).
//
//   l = W x,   h = l + e * s,  e standard normal,  s = noise (softplus(W_n x) + 0.01)     (while training; else h = l)
//   TopK(h),   w = softmax(h over TopK)
//   loss = c cv^2(importance) + c cv^2(load),   importance_i = sum_t w_ti,   load_i = sum_t Phi((l_ti - h*_ti) / s_ti)
//
// h*_ti is the threshold for expert i to be in: the (K+1)-th largest h if i is among the K, else the K-th. c = 0.1,
// noise = 1; W and W_n start at 0 as in the paper, so that load is balanced by noise at first.
#pragma once

#include "clearway/deep/router.hpp"

namespace clearway::deep {

class NoisyRouter : public Router {
 public:
  NoisyRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;

  torch::Tensor weight, noise_weight;  ///< N x d

 private:
  RouterOptions options_;
};

/// Expected number of tokens that choose each expert under new noise: N numbers. clean, noisy, deviation: T x N.
torch::Tensor noisy_load(const torch::Tensor& clean, const torch::Tensor& noisy, const torch::Tensor& deviation,
                         std::int64_t k);

}  // namespace clearway::deep
