// Probabilities that mean what they say: one or two numbers fitted on validation rows, which leave the order of the
// predictions as it is.
//
//   temperature   p = softmax(z / T), for an event sigma(z / T)       (Guo, Pleiss, Sun and Weinberger 2017)
//   Platt         p = sigma(slope z + intercept)                      (Platt 1999; Lin, Lin and Weng 2007)
//   Gaussian      the standard deviation s times larger, s^2 = mean ((y - mean) / sd)^2, the maximum of the likelihood
//
// Both losses are convex in (1 / T) and in (slope, intercept); Newton's method with a bracket (temperature) or halved
// steps (Platt) finds their minimum. Where the logits separate the classes the likelihood has no maximum (T -> 0). Then
// targets of 0 and 1 give way to what Laplace's rule makes of the counts, (n_c + 1) / (n_c + C) for the row's own class c
// and 1 / (n_c + C) for each other one (Platt's targets for C = 2), and the result says so.
//
// Logits are finite; std::invalid_argument otherwise, for targets other than 0 and 1 and for lengths that differ.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// What every fit of a calibration says about itself.
struct CalibrationFit {
  double loss_before = 0;  ///< log-loss on the rows of the fit, of the logits as they came
  double loss_after = 0;
  int iterations = 0;
  bool converged = false;
  bool separated = false;  ///< smoothed targets were used
  std::string note;        ///< in words, where something is unusual; else empty
};

/// T is kept within 1/1000 and 1000 times the root mean square of the (centred) logits; the note says when it ends there,
/// as it does for logits that are no better than chance. T = 1 for logits that are all equal.
struct TemperatureFit : CalibrationFit {
  double temperature = 1;
};
TemperatureFit fit_temperature(const ConstVectorRef& logit, const ConstVectorRef& event);
/// n x C logits, n classes in 0 .. C-1.
TemperatureFit fit_class_temperature(const ConstMatrixRef& logits, std::span<const int> classes);
/// n x L logits and targets of 0 and 1: one temperature per label.
std::vector<TemperatureFit> fit_label_temperatures(const ConstMatrixRef& logits, const ConstMatrixRef& targets);

/// Slope 0 for logits that are all equal; the note says when the slope is not positive (the order turns around).
struct PlattFit : CalibrationFit {
  double slope = 1, intercept = 0;
};
PlattFit fit_platt(const ConstVectorRef& logit, const ConstVectorRef& event);
std::vector<PlattFit> fit_label_platt(const ConstMatrixRef& logits, const ConstMatrixRef& targets);

/// sigma(slope z + intercept), elementwise; temperature T is slope 1 / T.
Vector event_probability(const ConstVectorRef& logit, double slope = 1, double intercept = 0);
/// softmax(z / T) per row.
Matrix class_probability(const ConstMatrixRef& logits, double temperature = 1);

/// The factor s >= 1e-6 for the standard deviations of Gaussian predictions. Deviations positive.
double fit_deviation_scale(const ConstVectorRef& mean, const ConstVectorRef& deviation, const ConstVectorRef& target);

}  // namespace clearway
