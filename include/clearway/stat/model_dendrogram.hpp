// The dendrogram of mixing measures of a fitted model: merge its two closest experts again and again, without refitting,
// and choose the level by height and log-likelihood (Do et al., arXiv 2403.01684, and arXiv 2510.12744 for
// softmax-gated Gaussian experts).
//
//   DSC(k) = -(h_k + log n * lbar_k),  k = K .. 2;  the smallest wins
//
// h_k is the dissimilarity of the two atoms whose merge leaves level k and lbar_k the mean log-likelihood of the level's
// model. Two measures of dissimilarity:
//   intercepts  as published, on the scale of the data: a pair weighs 1 / (exp(-b0_i) + exp(-b0_j)), so that it depends on
//               the origin and the units of the inputs, and on which expert is the gate's reference
//   shares      the same distance between the experts on standardised inputs and response, a pair weighs
//               1 / (1/p_i + 1/p_j) with the experts' average gate weights p; the merged gate is the tangent of
//               log(exp g_i + exp g_j) at the centre of the pair's rows. It does not depend on units or labels.
// The criterion is conservative: it tends to choose too few experts when one is weak. It cannot choose one expert.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

enum class DendrogramWeights { shares, intercepts };
inline std::span<const EnumName<DendrogramWeights>> enum_names(DendrogramWeights) {
  static constexpr std::array<EnumName<DendrogramWeights>, 2> names{{
      {DendrogramWeights::shares, "shares", "experts weigh by their average gate weight, on standardised data"},
      {DendrogramWeights::intercepts, "intercepts",
       "by exp of the gate's intercept, on the scale of the data, as published"},
  }};
  return names;
}

/// Levels from the fitted model (K experts) down to one expert.
struct ModelDendrogram {
  std::vector<MixtureModel> levels;          ///< K, K - 1, ..., 1 experts, on the scale of the data
  std::vector<std::pair<int, int>> pairs;    ///< experts (from 0) of levels[s] that step s merges; the first stays
  std::vector<double> heights;               ///< their dissimilarity
  std::vector<double> mean_log_likelihoods;  ///< per unit of weight, one per level
  std::vector<double> criterion;             ///< DSC of levels[0] .. levels[K - 2]
  int chosen = 0;                            ///< number of experts of the level with the smallest criterion
};

/// Whether the model has the form that the dissimilarity knows: linear Gaussian experts of one response behind a softmax
/// gate (temperature 1) or a constant one, at least two of them. Says why not.
bool dendrogram_applies(const MixtureModel& model, std::string& reason);

/// Throws std::invalid_argument when dendrogram_applies() is false.
ModelDendrogram model_dendrogram(const MixtureModel& model, const Data& data,
                                 DendrogramWeights weights = DendrogramWeights::shares);

}  // namespace clearway
