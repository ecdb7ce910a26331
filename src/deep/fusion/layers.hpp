// Layers between encoders and head, on M x B x T x D.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>

#include "clearway/deep/fusion_mixture.hpp"
#include "stacked.hpp"

namespace clearway::deep {

/// Attention of every modality over its bins (T > 1), the mixture over modalities, a feed-forward network per modality;
/// norms come before each.
class FusionLayer : public torch::nn::Module {
 public:
  FusionLayer(const FusionOptions& options, std::int64_t modalities, std::int64_t bins);
  /// The same shape; what the mixture did goes to `account`.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& present, FusionResult& account) const;

 private:
  FusionOptions options_;
  StackedNorm attention_norm_, mixture_norm_, feed_norm_;
  StackedAffine qkv_, attended_, up_, down_;
  std::shared_ptr<ModalityMixture> mixture_;
};

/// Every modality asks every other (MulT), then a feed-forward network per modality. T > 1: attention over the other's
/// bins, one block per ordered pair, their answers averaged over those that are heard; T = 1: attention over the tokens of
/// all others. `heard` is B x M, 0 for modalities nobody can hear.
class CrossAttentionLayer : public torch::nn::Module {
 public:
  CrossAttentionLayer(const FusionOptions& options, std::int64_t modalities, std::int64_t bins);
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& heard) const;

 private:
  torch::Tensor over_bins(const torch::Tensor& x, const torch::Tensor& heard) const;
  torch::Tensor over_modalities(const torch::Tensor& x, const torch::Tensor& heard) const;

  FusionOptions options_;
  std::int64_t modalities_, bins_;
  StackedNorm norm_, feed_norm_;
  StackedAffine query_, key_value_, attended_, up_, down_;
};

/// A network with one hidden layer and a linear path around it; without hidden units a linear map.
class FusionHead : public torch::nn::Module {
 public:
  FusionHead(const FusionOptions& options, std::int64_t inputs, std::int64_t outputs);
  torch::Tensor forward(const torch::Tensor& x) const;

 private:
  double dropout_;
  Affine linear_, hidden_, output_;
};

}  // namespace clearway::deep
