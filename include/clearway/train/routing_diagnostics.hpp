// Is a sparse layer healthy? Load, entropy, dead experts, margins, similarity of experts, agreement with competition.
//
// All entropies are divided by log N, so that 1 is uniform. Formulas: clearway/core/routing.hpp for load and entropy;
// similarity is the mean cosine of the responses of pairs of experts to the same token, and linear CKA (Kornblith et al.
// 2019, arXiv 1905.00414) between the responses of pairs of experts over tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/deep/sparse_mixture.hpp"
#include "clearway/deep/transformer.hpp"
#include "clearway/io/event_file.hpp"

namespace clearway::train {

struct LayerDiagnostics {
  std::vector<double> load;        ///< share of the assignments per expert
  double load_entropy = 0;         ///< normalised entropy of the load
  double largest_share = 0;        ///< largest load times N: 1 when balanced
  int dead_experts = 0;            ///< load below a tenth of the fair share
  double router_entropy = 0;       ///< mean over tokens of the normalised entropy of the router's distribution
  double margin = 0;               ///< mean difference between the largest and the second probability
  double information = 0;          ///< mutual information of token id and first expert, nats
  double response_similarity = 0;  ///< mean cosine of the responses of the selected experts of a token
  double similarity = 0;           ///< mean linear CKA over pairs of experts
  Matrix similarities;             ///< linear CKA of every pair of experts, N x N, diagonal 1
  double agreement = 0;            ///< how often router and competition name the same first expert
  double overlap = 0;              ///< share of the K selected experts that competition selects, too
  double affinity_contrast = 0;    ///< KL of softmax(affinities) to uniform, mean over tokens, nats
};

/// Diagnoses all sparse layers on tokens (B x T), in evaluation mode, without gradient and without random numbers.
/// Competition is the router's own where it has one, else by the norms of the responses.
std::vector<LayerDiagnostics> diagnose_routing(deep::LanguageModel& model, const torch::Tensor& tokens);

/// First expert of every token of every sparse layer: layers x (B T), int64; for fluctuation between checkpoints.
torch::Tensor first_experts(deep::LanguageModel& model, const torch::Tensor& tokens);

/// "layer0/load_entropy" and so on, for metrics.
Scalars diagnostics_scalars(const std::vector<LayerDiagnostics>& layers);

}  // namespace clearway::train
