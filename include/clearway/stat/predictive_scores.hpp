// How well a model predicts rows that it has not seen: log score, squared error and CRPS, each per row.
//
//   log score  log p(y | x), larger is better
//   CRPS       integral over z of (F(z | x) - 1{y <= z})^2, smaller is better (Gneiting and Raftery 2007); F is the
//              distribution of the mixture
//
// How CRPS is computed:
//   Gaussian experts      closed form, from A(m, s) = E|N(m, s^2)| (Grimit, Gneiting, Berrocal and Johnson 2006):
//                         sum_i w_i A(y - m_i, s_i) - 1/2 sum_ij w_i w_j A(m_i - m_j, sqrt(s_i^2 + s_j^2))
//   counts                the sum over whole numbers, ended where what is left is below 1e-12
//   other one response    quadrature: Gauss-Legendre between break points at y and at every expert's centre and flanks,
//                         the two tails mapped to (0, 1)
//   classes               the Brier score sum_c (p_c - 1{y = c})^2 stands in its place
//   vector response       the energy score E|Y - y| - E|Y - Y'| / 2 (Gneiting and Raftery 2007), by sampling
// A uniform noise component is for outliers and takes no part in squared error and CRPS, as in MixtureModel::mean().
#pragma once

#include <string>

#include "clearway/stat/mixture_model.hpp"

namespace clearway {

/// Scores of the rows of a data set, each of n numbers.
struct PredictiveScores {
  Vector log_score;
  Vector squared_error;  ///< |y - E[y | x]|^2; classes: NaN
  Vector crps;           ///< CRPS, Brier score or energy score
};

/// Scores of rows under a model. `draws` samples per row for a vector response, from `seed`.
PredictiveScores predictive_scores(const MixtureModel& model, const Data& data, std::int64_t seed = 1, int draws = 200);

/// "CRPS", "Brier score" or "energy score": what PredictiveScores::crps holds for that kind of response.
std::string crps_name(const MixtureModel& model);

/// CRPS of a mixture of Gaussians at y: k weights that sum to 1, k means, k positive standard deviations.
double gaussian_mixture_crps(double y, const ConstVectorRef& weights, const ConstVectorRef& means,
                             const ConstVectorRef& deviations);

/// Whether the kind's density is one of whole numbers (counts) or classes rather than of real numbers: likelihoods of the
/// two sorts cannot be compared.
bool is_discrete(ExpertKind kind);

}  // namespace clearway
