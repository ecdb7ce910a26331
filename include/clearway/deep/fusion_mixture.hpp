// The sparse mixture of a fusion layer: where modalities meet (FuseMoE: Han et al. 2024, arXiv 2402.03226, section 3).
//
//   joint:         y = sum_i G(z)_i E_i(z),               z all modalities side by side,  E_i: M D -> M D
//   per-modality:  y = sum_m sum_i G_m(z_m)_i E_i(z_m),   one pool,                       E_i: D -> M D
//   disjoint:      y = sum_m sum_i G_m(z_m)_i E_mi(z_m),  a pool per modality
//   E(z) = W_2 drop(gelu(W_1 z + b_1)) + b_2
//   h_i(z) = t_i(P z) / tau + b_i,  t_i the gate's score (linear, -distance or -distance^2);  tau and P are learned
//   G(z) = softmax over the K largest h + e,  e normal noise, while training only
//
// With K = 1 that softmax is 1 and teaches the router nothing, so its weight is p_i / p_i, the denominator without gradient.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>

#include "clearway/deep/fusion_model.hpp"

namespace clearway::deep {

/// The scores of a gate before temperature and intercepts. x: n x r, centres: k x r (directions for softmax) -> n x k.
torch::Tensor fusion_gate_scores(FusionGate gate, const torch::Tensor& x, const torch::Tensor& centres);
/// Softmax over the K largest of every row, 0 elsewhere; of equal scores the first wins. n x k.
torch::Tensor top_k_weights(const torch::Tensor& scores, std::int64_t count);
/// Mean of the entropies minus the entropy of the mean of R distributions over N experts, in nats: minus the
/// Jensen-Shannon divergence, in [-log min(R, N), 0]. R x N, rows sum to 1.
torch::Tensor modality_entropy_loss(const torch::Tensor& distributions);

/// How experts are computed: all of them in few large products, or each on the rows that asked it. The results agree.
enum class ExpertDispatch { by_size, dense, gathered };

class ModalityMixture : public torch::nn::Module {
 public:
  /// M modalities with `bins` tokens each. Method dense: one expert as wide as top_k experts, always asked.
  ModalityMixture(const FusionOptions& options, std::int64_t modalities, std::int64_t bins);

  struct Result {
    torch::Tensor output;          ///< M x B x T x D
    torch::Tensor auxiliary_loss;  ///< scalar, undefined when there is none or not in training
    FusionRouting routing;         ///< detached; undefined for method dense
  };
  /// tokens: M x B x T x D, normalised; present: B x M. Policy mask_route asks no expert about absent ones; under all
  /// policies the losses count decisions about present modalities only (joint: all decisions).
  Result forward(const torch::Tensor& tokens, const torch::Tensor& present) const;

  ExpertDispatch dispatch = ExpertDispatch::by_size;
  torch::Tensor projection;       ///< R x D x r or undefined
  torch::Tensor centres;          ///< R x N x r
  torch::Tensor intercepts;       ///< R x 1 x N
  torch::Tensor log_temperature;  ///< R
  torch::Tensor w1, b1;           ///< pools x D x N x H, pools x N x H
  torch::Tensor w2, b2;           ///< pools x N x H x (M D), (pools N) x (M D)

 private:
  torch::Tensor scores(const torch::Tensor& tokens) const;
  torch::Tensor mix(const torch::Tensor& inputs, const torch::Tensor& weights) const;
  torch::Tensor losses(const torch::Tensor& clean, const torch::Tensor& noisy, const torch::Tensor& weights,
                       const torch::Tensor& present) const;

  FusionOptions options_;
  std::int64_t modalities_;
  std::int64_t experts_;
};

}  // namespace clearway::deep
