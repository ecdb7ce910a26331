// Levenberg-Marquardt with variable projection for one least-squares problem, from a start to a minimum.
//
// One iteration: from the factor R of [J_lin, J_non, r] the columns of the linear parameters are projected out (Kaufman's
// approximation of the variable projection Jacobian), the damped step in the nonlinear ones follows from a singular value
// decomposition of what is left, and the linear parameters are solved for exactly at the new point. Damping after
// Nielsen (1999), columns scaled by the largest norm they have had (More 1978).
#pragma once

#include <vector>

#include "least_squares_problem.hpp"

namespace clearway::detail {

struct LeastSquaresSettings {
  int max_iterations = 2000;  ///< passes over the data
  double tolerance = 1e-8;    ///< largest component of J'r / (r'r): the mean score of the normal likelihood
  bool kinked = false;        ///< ReLU: standing still counts as convergence
  int start = 0;              ///< number of the start, for the history
};

struct LeastSquaresOutcome {
  double sum_of_squares = std::numeric_limits<double>::infinity();  ///< on the working scale, ridge term included
  StopReason reason = StopReason::not_fitted;
  bool converged = false;
  int iterations = 0;  ///< passes over the data
  double score = std::numeric_limits<double>::quiet_NaN();
  std::vector<IterationRecord> history;  ///< log_likelihood holds the sum of squares
};

/// Never raises the sum of squares (beyond rounding).
LeastSquaresOutcome minimise(const LeastSquaresProblem& problem, MixtureModel& model,
                             const LeastSquaresSettings& settings);

}  // namespace clearway::detail
