// How far a fitted mixture is from another one (usually the truth), once its experts are put into the right order.
//
//   regressor error  min over permutations of max_i |a^_i - a_i| / |a_i|          (slopes, no intercepts)
//   gate error       |dW^ - dW|_F / |dW|_F with rows w_i - w_k, under the same permutation
//   sigma error      max_i |sigma^_i - sigma_i|
//   Voronoi losses   core/alignment.hpp; they are defined also when the numbers of experts differ
// Experts of several kinds are paired within their kind. With different numbers of experts no permutation exists: then only the Voronoi cells and losses are given.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "clearway/core/alignment.hpp"
#include "clearway/core/types.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

/// Errors of estimated regressors and gate (k x d each, rows are experts; the gate may have any reference row).
/// `sign_free`: a regressor and its negative are the same (even mean functions).
struct RecoveryErrors {
  std::vector<int> order;  ///< order[i]: the estimated expert that stands for true expert i
  double regressor = std::numeric_limits<double>::quiet_NaN();
  double gate = std::numeric_limits<double>::quiet_NaN();  ///< NaN when the truth has no gate slopes
};
RecoveryErrors recovery_errors(const Matrix& regressors, const Matrix& gate, const Matrix& true_regressors,
                               const Matrix& true_gate, bool sign_free = false);

/// One true expert beside the fitted one that stands for it.
struct ExpertComparison {
  int fitted = -1;                                              ///< -1: none
  double regressor = std::numeric_limits<double>::quiet_NaN();  ///< |a^ - a| / |a|
  double sigma = std::numeric_limits<double>::quiet_NaN();      ///< sigma^ - sigma
  std::vector<int> cell;  ///< fitted experts whose parameters are nearest to this true one (Voronoi cell)
};

struct Comparison {
  int fitted_experts = 0;
  int true_experts = 0;
  std::vector<ExpertComparison> experts;  ///< one per true expert
  double regressor_error = std::numeric_limits<double>::quiet_NaN();
  double expert_rmse = std::numeric_limits<double>::quiet_NaN();  ///< intercepts and slopes, root mean square
  double gate_error = std::numeric_limits<double>::quiet_NaN();
  double gate_rmse = std::numeric_limits<double>::quiet_NaN();  ///< intercepts and slopes against the last expert
  double sigma_error = std::numeric_limits<double>::quiet_NaN();
  double voronoi_exact = std::numeric_limits<double>::quiet_NaN();  ///< D1: every difference to the power 1
  double voronoi_over = std::numeric_limits<double>::quiet_NaN();   ///< D2: exponents of over-specified cells
  double noise_weight_error = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::string> notes;  ///< why a number is missing, a full sentence each
};

/// Compares two models over the same inputs. Throws std::invalid_argument when their inputs or responses differ.
Comparison compare(const MixtureModel& fitted, const MixtureModel& truth);

}  // namespace clearway
