// Is an estimate really an optimum, and which other optima are there? Score and information against differences, EM that
// must climb, and the distribution of log-likelihoods over starts.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"

namespace clearway {

struct OptimumCheck {
  double log_likelihood = 0;
  double mean_score = 0;              ///< largest mean score, working scale, parameters at a bound left out
  double score_difference = 0;        ///< largest |score - differences of the likelihood| in units of sqrt(I_ii)
  double information_difference = 0;  ///< largest |I_ij - differences of the score| / sqrt(I_ii I_jj)
  double least_eigenvalue = 0;        ///< of the information scaled to unit diagonal; positive at a strict maximum
  double condition = 0;               ///< largest over least eigenvalue
  int parameters = 0;                 ///< free parameters
  int at_bounds = 0;                  ///< parameters at a bound (noise floor, Student t degrees of freedom ...)
  bool flat = false;                  ///< the information is singular
  int climb_steps = 0;                ///< EM steps from a point two standard errors away
  double climb_drop = 0;              ///< largest fall of the log-likelihood in one of them; 0 but for rounding
};

/// Checks a model fitted to `data` with `fitted_with`. The climb starts in a random direction drawn from the seed.
OptimumCheck check_optimum(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                           std::int64_t seed);

/// Polished starts that ended at one log-likelihood (to 1e-6 relative).
struct OptimumGroup {
  double log_likelihood = 0;
  int starts = 0;
  bool degenerate = false;  ///< an expert at the noise floor
};

/// Fits from `starts` starts, every one of which is carried to convergence, and groups where they ended: best first.
std::vector<OptimumGroup> optimum_map(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                                      int starts, std::int64_t seed, int threads);
/// The same from the records of a fit.
std::vector<OptimumGroup> optimum_map(const std::vector<StartRecord>& records);

}  // namespace clearway
