// What a modality becomes tokens by: multi-time attention (mTAND: Shukla and Marlin 2021, arXiv 2101.10318), imputation
// and the unified gate between them (UTDE: Zhang et al. 2023, arXiv 2210.12156), and networks on summaries and vectors.
//
// Multi-time attention is computed without a tensor over bins, places and features together:
//
//   E = exp(s - c),  num = E (m * x),  den = E m,  mean = num / den,  density = log(1 + e^c den) = log(1 + sum_l m_l e^s_l)
//
// c = max_l s changes nothing but rounding. What was never observed has mean 0 and density 0.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>

#include "clearway/deep/fusion_model.hpp"

namespace clearway::deep {

struct TimeAttention {
  torch::Tensor mean;     ///< B x F x H x T
  torch::Tensor density;  ///< B x F x H x T
};

/// values, mask: B x L x F; scores: H x T x L (times shared by all samples) or B x H x T x L, any constants.
TimeAttention multi_time_attention(const torch::Tensor& values, const torch::Tensor& mask, const torch::Tensor& scores);

/// A series on T bins; bin i holds the times in [i / T, (i + 1) / T), the last one also 1.
struct CarriedForward {
  torch::Tensor values;    ///< B x T x F, the last observation up to the end of the bin, 0 before the first
  torch::Tensor observed;  ///< B x T x F, 1 where there was one within the bin
  torch::Tensor age;       ///< B x T x F, end of bin minus time of that observation, share of the horizon; 1: none yet
};

/// Without gradient. times: L or B x L, in any order; of two observations at one time that at the later place counts.
CarriedForward carry_forward(const torch::Tensor& values, const torch::Tensor& mask, const torch::Tensor& times,
                             std::int64_t bins);

/// The modality without anything of samples where it is absent, in the number type of the model, as far as the encoder
/// reads it. present: B. Throws std::invalid_argument for shapes that do not fit.
ModalityBatch without_absent(const ModalityBatch& batch, const fusion::ModalityShape& shape, SeriesEncoder encoder,
                             const torch::Tensor& present);

/// One modality: B x T x D.
class ModalityEncoder : public torch::nn::Module {
 public:
  /// `bins` is T.
  ModalityEncoder(const FusionOptions& options, const fusion::ModalityShape& shape, std::int64_t bins);
  ~ModalityEncoder() override;
  /// `batch` comes from without_absent().
  torch::Tensor forward(const ModalityBatch& batch) const;

 private:
  struct Parts;
  FusionOptions options_;
  fusion::ModalityShape shape_;
  std::int64_t bins_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace clearway::deep
