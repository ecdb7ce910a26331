// Which experts a fusion model asks, and for whom: what tells whether routing means anything.
//
// Per layer and router (one per modality, or one joint one), over the decisions whose modality is there:
// (disjoint routers have a pool of experts each: N counts the experts of all pools)
//   mass          mean weight of an expert
//   chosen        share of decisions that have the expert among their top k
//   information   I(modality; expert) / log min(M, N) of the routers' own distributions before the choice, minus the entropy
//                 loss in [0, 1] (FuseMoE, Eq. 3): 0 when modalities share experts alike, 1 when they share none
// and per expert, weighted by its mass: how often the event is true among its samples, and how often each modality is there.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/deep/fusion_model.hpp"
#include "clearway/io/json.hpp"
#include "clearway/train/fusion_task.hpp"

namespace clearway::train {

struct FusionLayerUsage {
  std::vector<std::string> routers;  ///< R: names of modalities, or "joint"
  Matrix mass;                       ///< R x N, rows sum to 1 (0 for a router that nobody asked)
  Matrix chosen;                     ///< R x N, rows sum to top-k
  Vector top_weight;                 ///< R, mean of the largest weight of a decision
  double information = 0;            ///< 0 for a joint router
  double load_entropy = 0;           ///< normalised entropy of the experts' total mass
  std::vector<int> dead;             ///< experts with less than a tenth of their fair share
  Vector samples;                    ///< N, total mass
  Vector event_rate;                 ///< N; NaN without a binary target, and for an expert that nobody asked
  Matrix presence;                   ///< N x M; NaN likewise
};

struct FusionUsage {
  std::vector<FusionLayerUsage> layers;
};

/// Weights or probabilities B x R x P x N of a layer over all its experts: those of disjoint routers have a pool each, so that
/// expert i of router r is number r N + i of R N; the others share one pool and stay as they are.
torch::Tensor of_all_experts(const torch::Tensor& routing, bool disjoint);

/// Over these samples. `event` has one number per row (0, 1), or is empty.
FusionUsage fusion_usage(deep::FusionModel& model, const FusionTensors& samples, const std::vector<std::int64_t>& rows,
                         const Vector& event);

Json fusion_usage_json(const FusionUsage& usage, const std::vector<fusion::ModalityShape>& modalities);
std::string fusion_usage_text(const FusionUsage& usage);

}  // namespace clearway::train
