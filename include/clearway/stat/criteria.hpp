// Criteria for choosing between fitted models. All in R's convention: smaller is better.
//
//   AIC    -2 ll + 2 df                          Akaike 1974
//   AICc   AIC + 2 df (df + 1) / (n - df - 1)    Hurvich and Tsai 1989; infinite unless n > df + 1
//   BIC    -2 ll + df log n                      Schwarz 1978, as stats::BIC
//   SABIC  -2 ll + df log((n + 2) / 24)          Sclove 1987
//   ICL    BIC + 2 entropy                       Biernacki, Celeux and Govaert 2000
//
// Slope heuristics (Birge and Massart 2007; Baudry, Maugis and Michel 2012): for large models the log-likelihood grows
// with a slope kappa in df; the criterion is -2 ll + 4 kappa df, twice the minimal penalty.
#pragma once

#include <limits>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// Information criteria of one fit.
struct InformationCriteria {
  double aic = std::numeric_limits<double>::quiet_NaN();
  double aicc = std::numeric_limits<double>::quiet_NaN();
  double bic = std::numeric_limits<double>::quiet_NaN();
  double sabic = std::numeric_limits<double>::quiet_NaN();
  double icl = std::numeric_limits<double>::quiet_NaN();
};

/// `rows` is the sum of the case weights; `entropy` -sum r log r of the responsibilities.
InformationCriteria information_criteria(double log_likelihood, double degrees_of_freedom, double rows, double entropy);

/// Slope of the log-likelihood in df over the larger half of the models (at least 4 points): the median of the slopes
/// between all pairs (Theil 1950, Sen 1968). NaN for fewer than 6 models, a slope that is not positive, or
/// slopes whose quartiles lie further apart than their median: then the line is not straight yet.
double likelihood_slope(const std::vector<double>& log_likelihoods, const std::vector<double>& degrees_of_freedom);

}  // namespace clearway
