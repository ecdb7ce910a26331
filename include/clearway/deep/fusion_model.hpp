// FuseMoE: any number of modalities, each on a common grid of tokens, brought together by sparse mixtures of experts.
//
//   encoders -> B x M x T x D -> layers (attention per modality, mixture over modalities, feed-forward) -> head
//
// Formulas and what differs from the published code: docs/fusion.md. Mixing is linear, every router is a registered
// module, noise is drawn while training only, and no sample can see another.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "clearway/deep/fusion_options.hpp"
#include "clearway/fusion/modality.hpp"

namespace clearway::deep {

/// One modality of a batch.
struct ModalityBatch {
  torch::Tensor values;   ///< B x L x F (vectors: B x F), 0 where not observed
  torch::Tensor mask;     ///< the same shape, 1 where observed
  torch::Tensor times;    ///< L (one grid for all) or B x L, in [0, 1]; undefined for vectors
  torch::Tensor summary;  ///< B x S; undefined for vectors
};

struct FusionBatch {
  std::vector<ModalityBatch> modalities;
  torch::Tensor present;  ///< B x M, 1 where the modality is there: the only say about it
};

/// What the routers of one layer did. R routers (1 for joint, else M), N experts per router's pool, P places: 1 (granularity
/// sample and flat) or T.
struct FusionRouting {
  torch::Tensor weights;        ///< B x R x P x N, of the chosen experts, rows sum to 1 (0 where nobody was asked)
  torch::Tensor probabilities;  ///< B x R x P x N, before the choice
};

struct FusionResult {
  torch::Tensor output;               ///< B x outputs: logits, or means (regression: means and log standard deviations)
  torch::Tensor auxiliary_loss;       ///< scalar or undefined
  std::vector<FusionRouting> layers;  ///< detached
};

class FusionModel : public torch::nn::Module {
 public:
  /// `outputs` is the number of numbers in the output. Throws std::invalid_argument for options that do not fit together.
  FusionModel(const FusionOptions& options, std::vector<fusion::ModalityShape> modalities, std::int64_t outputs);
  ~FusionModel() override;

  /// What modalities that are absent hold cannot change anything. In training mode modalities are dropped with the chance
  /// of the options (static ones and the last one of a sample never).
  FusionResult forward(const FusionBatch& batch);
  /// The mean token of every modality, before policies for missing ones: B x M x D, 0 where absent.
  torch::Tensor tokens(const FusionBatch& batch);
  /// Policy impute: learns the ridge regressions from tokens() of training samples. Nothing for other policies.
  void fit_imputation(const torch::Tensor& tokens, const torch::Tensor& present);

  const FusionOptions& options() const { return options_; }
  const std::vector<fusion::ModalityShape>& modalities() const { return modalities_; }
  std::int64_t parameter_count() const;

 private:
  struct Parts;
  FusionOptions options_;
  std::vector<fusion::ModalityShape> modalities_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace clearway::deep
