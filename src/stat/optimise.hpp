// From a start to an optimum: EM, squared extrapolation, Newton's method, each guarded by the likelihood.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"
#include "em_engine.hpp"

namespace clearway::detail {

struct OptimiseSettings {
  int max_iterations = 2000;  ///< passes over the data
  double tolerance = 1e-8;    ///< largest mean score
  Acceleration acceleration = Acceleration::squarem;
  bool newton = true;
  int start = 0;  ///< number of the start, for the history
};

struct OptimiseOutcome {
  double objective = 0;  ///< penalised log-likelihood on the working scale
  StopReason reason = StopReason::not_fitted;
  bool converged = false;
  int iterations = 0;  ///< EM-equivalents: passes over the data; a Newton step counts as the passes it costs
  double score = std::numeric_limits<double>::quiet_NaN();  ///< largest mean score of the free, unbounded parameters
  bool flat = false;                                        ///< the curvature is (numerically) singular at the end
  Vector standardised_errors;  ///< diag(information^-1)^(1/2) of the free parameters where it could be had
  std::vector<IterationRecord> history;
};

/// `iterations` plain EM steps (a short run). Returns the objective before the last step.
double run_short(EmEngine& engine, MixtureModel& model, int iterations);

/// Carries a model to convergence.
OptimiseOutcome optimise(EmEngine& engine, MixtureModel& model, const OptimiseSettings& settings);

}  // namespace clearway::detail
