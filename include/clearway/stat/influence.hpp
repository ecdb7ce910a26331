// How much single rows decide: leverage, and what leaving a row out would do to the estimates.
//
//   leverage   h_t = d mu_t / d y_t = (d mu_t / d theta)' I^-1 (d s_t / d y_t), the generalised leverage of Wei, Hu and
//              Fung (1998, Scand. J. Stat. 25); the diagonal of the hat matrix for one linear expert. In a mixture it may
//              leave [0, 1]: a response on the border between two experts decides which expert the row belongs to.
//   deletion   theta_(t) - theta = -I^-1 s_t / (1 - h_t), one Newton step corrected as by Pregibon (1981, Ann. Stat. 9);
//              uncorrected where h_t is outside of [0, 1). Exact coefficients for one linear expert.
//   distances  after Cook (1977, Technometrics 19), with delta = theta_(t) - theta:
//              cook_parameters  = delta' I delta / p            (one Poisson expert: R's cooks.distance of the glm)
//              cook_predictions = sum_i w_i (mu_i(t) - mu_i)^2 / (p_mu s^2), summed over responses, p_mu parameters that
//              move the mean, s^2 residual variance          (one linear expert: R's cooks.distance of the lm)
// I is the observed information, s_t the score of a row. A group of repeated measures is left out as a whole, by one
// uncorrected step; its rows share its distances.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"

namespace clearway {

struct Influence {
  Vector leverage;                 ///< n; NaN for classes
  Vector cook_parameters;          ///< n
  Vector cook_predictions;         ///< n
  Vector likelihood_displacement;  ///< n, 2 (l(theta) - l(theta_(t))) to second order, all rows kept: delta' I delta
  int parameters = 0;              ///< p
  int mean_parameters = 0;         ///< p_mu
  bool flat = false;               ///< singular information: all of it is for identified directions only
};

/// Influence of every row on a model fitted to `data` with `fitted_with` (of which the noise floor and the ridge count).
Influence influence(const Data& data, const MixtureModel& model, const FitOptions& fitted_with);

/// A row left out in earnest: the fit carried on from the estimate without it, to the optimum that it leads to.
struct Deletion {
  Eigen::Index row = 0;
  double log_likelihood_drop = 0;  ///< 2 (l(theta) - l(theta_(t))) over all rows: what the one-step value approximates
  double one_step = 0;             ///< that approximation
  double largest_move = 0;         ///< largest |mu(t) - mu| over rows (and responses) in residual standard deviations
  bool converged = false;
  std::string failure;
};

/// Carries the fit on without each of `rows`, in parallel.
std::vector<Deletion> delete_rows(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                                  const Influence& one_step, const std::vector<Eigen::Index>& rows, int threads);

}  // namespace clearway
