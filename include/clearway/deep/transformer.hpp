// A decoder-only transformer language model whose blocks may hold sparse layers.
//
// Blocks are pre-norm or post-norm; attention is causal, computed over chunks of queries so that memory grows with the
// chunk and not with context^2 per head; positions are learned, rotary, or relative keys.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "clearway/deep/sparse_mixture.hpp"
#include "clearway/deep/transformer_options.hpp"

namespace clearway::deep {

/// What one forward pass gives.
struct LanguageModelResult {
  torch::Tensor logits;                     ///< B x T x V
  torch::Tensor features;                   ///< B x T x C, before the output layer
  torch::Tensor auxiliary_loss;             ///< scalar or undefined
  std::vector<SparseMixtureResult> layers;  ///< one per sparse layer, outputs left out
};

class LanguageModel : public torch::nn::Module {
 public:
  /// `mixture.experts.inputs` and `.hidden` are set from the width and hidden width here.
  LanguageModel(const TransformerOptions& options, const SparseMixtureOptions& mixture, std::int64_t vocabulary,
                std::int64_t total_steps = 0);

  /// tokens: B x T int64, T at most the context. `step` is the training step (schedules).
  /// Throws std::invalid_argument for tokens outside the vocabulary or a longer T.
  LanguageModelResult forward(const torch::Tensor& tokens, std::int64_t step = 0);

  /// The sparse layers, first to last.
  const std::vector<std::shared_ptr<SparseMixture>>& mixtures() const { return mixtures_; }
  const TransformerOptions& options() const { return options_; }
  std::int64_t vocabulary() const { return vocabulary_; }
  /// Number of trained numbers.
  std::int64_t parameter_count() const;

 private:
  struct Block;
  TransformerOptions options_;
  std::int64_t vocabulary_;
  torch::Tensor embedding_, position_, output_weight_, output_bias_, norm_weight_, norm_bias_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::vector<std::shared_ptr<SparseMixture>> mixtures_;
};

}  // namespace clearway::deep
