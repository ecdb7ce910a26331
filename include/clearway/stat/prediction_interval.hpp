// How sure predictions are: intervals for E[y | x], gate weights, means of the experts and marginal effects (delta
// method), bands that hold for all rows at once, and regions in which a new response falls.
//
//   confidence   value -+ z se, row by row; gate weights and probabilities on the logit scale, means of positive
//                families on the log scale
//   band         value -+ c se with the c for which all rows hold at once with the given probability: the quantile of
//                max_t |sum_j d_tj Z_j| / se_t over draws of standard normals Z (sup-t band; Montiel Olea and
//                Plagborg-Moller 2019). The Scheffe constant sqrt(chi2 quantile with as many degrees of freedom as
//                parameters) is a bound for it.
//   prediction   quantiles of the mixture at (1 - level) / 2 and (1 + level) / 2
//   hdr          the smallest set of responses of that probability, several pieces where the density has several peaks
//                (Hyndman 1996)
// Regions for a new response take the parameters as known: their uncertainty is of a lower order than the noise.
#pragma once

#include <utility>
#include <vector>

#include "clearway/stat/delta_method.hpp"

namespace clearway {

/// Values with standard errors and limits, each rows x columns.
struct UncertainValues {
  Matrix values, errors, lower, upper;
  Vector critical;  ///< per column: the multiple of the standard error that the limits use
};

/// What `clearway predict --interval` shows of a model at given rows.
struct PredictionUncertainty {
  UncertainValues mean;                  ///< E[y | x], n x m (multinomial: probabilities n x c)
  UncertainValues gate;                  ///< n x k
  std::vector<UncertainValues> experts;  ///< per expert, as mean
};

struct UncertaintyOptions {
  double level = 0.95;
  bool simultaneous = false;  ///< bands over the rows, column by column
  int simulations = 10000;    ///< draws for the band
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Throws std::invalid_argument for a covariance of the wrong size. The result does not depend on the number of threads.
PredictionUncertainty prediction_uncertainty(const MixtureModel& model, const Matrix& covariance, const Data& inputs,
                                             const UncertaintyOptions& options);

/// d E[y | x] / d input at every row, where `raised` and `lowered` are the inputs with that input moved by +step and
/// -step: (E[raised] - E[lowered]) / (2 step) with its delta-method error. Rows x columns of the mean.
UncertainValues marginal_effect(const MixtureModel& model, const Matrix& covariance, const Data& raised,
                                const Data& lowered, double step, const UncertaintyOptions& options);

/// The pieces of a region, in order: [low, high]; counts: whole numbers, both ends included.
using Region = std::vector<std::pair<double, double>>;
/// Highest-density regions of one real or count response, the noise component left out. Continuous densities are
/// followed on a grid of about 200 points per expert; the probability of the region is exact to about 1e-3.
std::vector<Region> highest_density_regions(const MixtureModel& model, const Data& inputs, double level,
                                            int threads = 1);

}  // namespace clearway
