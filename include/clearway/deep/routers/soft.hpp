// Soft MoE (Puigcerver et al. 2024, arXiv 2308.00951): experts see weighted means of tokens, in p slots each.
//
//   l = s (x / |x|)' (phi / |phi|) over N p slots,  dispatch = softmax over tokens,  combine = softmax over slots
//   y_t = sum_j combine_tj E(sum_u dispatch_uj x_u)
//
// p = `top-k`. All tokens of one call mix with one another: not causal. No loss.
#pragma once

#include "clearway/deep/router.hpp"

namespace clearway::deep {

class SoftRouter : public Router {
 public:
  SoftRouter(const RouterOptions& options, const ExpertOptions& experts);
  Routing route(const RoutingRequest& request, ExpertBank& experts) override;
  bool causal() const override { return false; }

  torch::Tensor phi;    ///< d x (N p)
  torch::Tensor scale;  ///< one number

 private:
  std::int64_t experts_;
};

}  // namespace clearway::deep
