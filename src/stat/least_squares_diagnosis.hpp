// How well the data determine a least-squares solution: singular values of the Jacobian, directions in which the
// regression function does not change, experts that coincide, gates that turn into steps.
#pragma once

#include <string>
#include <vector>

#include "least_squares_problem.hpp"

namespace clearway::detail {

struct LeastSquaresDiagnosis {
  int rank = 0;
  double smallest_singular_value = std::numeric_limits<double>::quiet_NaN();  ///< of the Jacobian with unit columns
  double condition = std::numeric_limits<double>::quiet_NaN();  ///< infinite when a parameter has no influence at all
  std::vector<std::string> flat_directions;
  bool gate_separated = false;   ///< a gate coefficient above 10 that is below its own standard error
  bool expert_diverges = false;  ///< the same for a coefficient of an expert above 100
};

/// At a model on the working scale. Directions that the gate's own parameters leave free (Gaussian and low-rank
/// quadratic gates have more parameters than degrees of freedom) are left out.
LeastSquaresDiagnosis diagnose(const LeastSquaresProblem& problem, const MixtureModel& model);

/// A sentence for every pair of experts whose means are the same to 0.1 % of the standard deviation of the response.
std::vector<std::string> coinciding_experts(const MixtureModel& model, const Data& data, const Scaling& scaling);

}  // namespace clearway::detail
