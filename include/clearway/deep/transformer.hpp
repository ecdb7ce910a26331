// A decoder-only transformer language model whose blocks may hold sparse layers.
//
// Blocks are pre-norm or post-norm; attention is that of attention.hpp. With `memory` the hidden states of earlier tokens
// of the same stream are kept per block, without gradient, as in Transformer-XL (Dai et al. 2019, arXiv 1901.02860).
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "clearway/deep/sparse_mixture.hpp"
#include "clearway/deep/transformer_options.hpp"

namespace clearway::deep {

/// Hidden states of earlier tokens, one B x M x C tensor per block; empty at the start of a stream.
using StreamMemory = std::vector<torch::Tensor>;

/// Keys and values of the tokens that a model has read, so that those that follow attend to them without reading them again.
struct KeyValueCache {
  struct Entry {
    torch::Tensor keys, values;  ///< B x H x S x D each, keys with their positions; the first `count` are used
    std::int64_t count = 0;
  };
  std::vector<Entry> blocks;  ///< one per block; none: nothing was read
  std::int64_t read = 0;      ///< tokens that were read, those that fell out of the memory included
};

/// What one forward pass gives.
struct LanguageModelResult {
  torch::Tensor features;                   ///< B x T x C, after the last norm
  torch::Tensor auxiliary_loss;             ///< scalar or undefined
  std::vector<SparseMixtureResult> layers;  ///< one per sparse layer
};

class LanguageModel : public torch::nn::Module {
 public:
  /// `mixture.experts.inputs` and `.hidden` are set here from the widths. `total_steps` is the length of training.
  /// Throws std::invalid_argument for shapes that do not fit, and for a router that looks ahead.
  LanguageModel(const TransformerOptions& options, SparseMixtureOptions mixture, std::int64_t vocabulary,
                std::int64_t total_steps = 0);

  /// tokens: B x T int64, T at most the context. `step` is the training step; `memory`, if given, is read and replaced;
  /// `kept`, if given, lists the places (row x T + column, int64) that are no padding: others visit no expert.
  /// Throws std::invalid_argument for tokens outside the vocabulary or a longer T.
  LanguageModelResult forward(const torch::Tensor& tokens, std::int64_t step = 0, StreamMemory* memory = nullptr,
                              const torch::Tensor& kept = {});
  /// Features of tokens (B x T) that follow those in `cache`, which is brought up to date: what forward() would give for all
  /// of them together, or with its memory for a model that has one. In evaluation mode, without gradient. Without memory a
  /// text is at most the context long: begin again with an empty cache. Throws std::invalid_argument for a longer one, and
  /// std::logic_error where routes_by_token() is false.
  torch::Tensor features_after(const torch::Tensor& tokens, KeyValueCache& cache);
  /// Whether, outside of training, no token's experts depend on other tokens. A capacity makes them compete for places.
  bool routes_by_token() const;
  /// Scores of the next token: features ... x C -> ... x V.
  torch::Tensor logits(const torch::Tensor& features) const;

  /// The sparse layers, first to last.
  const std::vector<std::shared_ptr<SparseMixture>>& mixtures() const { return mixtures_; }
  const TransformerOptions& options() const { return options_; }
  std::int64_t vocabulary() const { return vocabulary_; }
  /// Number of trained numbers.
  std::int64_t parameter_count() const;

 private:
  class Block;
  /// Throws std::invalid_argument for what is no table of tokens of this vocabulary.
  void check_tokens(const torch::Tensor& tokens) const;
  TransformerOptions options_;
  std::int64_t vocabulary_;
  torch::Tensor embedding_, position_, norm_weight_, norm_bias_, output_weight_, output_bias_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::vector<std::shared_ptr<SparseMixture>> mixtures_;
};

}  // namespace clearway::deep
