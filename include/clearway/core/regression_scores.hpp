// How good predictions of numbers are: errors, correlation, sign (sentiment), intervals and Gaussian densities.
//
// Everywhere: n predictions and n targets, n >= 1, all finite; std::invalid_argument otherwise.
#pragma once

#include <optional>

#include "clearway/core/types.hpp"

namespace clearway {

/// mean |prediction - target|
double mean_absolute_error(const ConstVectorRef& prediction, const ConstVectorRef& target);
/// sqrt(mean (prediction - target)^2)
double root_mean_squared_error(const ConstVectorRef& prediction, const ConstVectorRef& target);
/// 1 - sum (target - prediction)^2 / sum (target - mean target)^2. Empty where all targets are equal.
std::optional<double> r_squared(const ConstVectorRef& prediction, const ConstVectorRef& target);
/// Pearson's correlation. Empty where all targets or all predictions are equal.
std::optional<double> pearson_correlation(const ConstVectorRef& prediction, const ConstVectorRef& target);

/// Accuracy and F1 of the sign, the "Acc-2" and "F1" of sentiment benchmarks (CMU-MOSI, -3 to 3), in both conventions:
///
///   with zeros      every row; the classes are y >= 0 and y < 0, on either side (Zadeh et al. 2018)
///   without zeros   rows whose target is not 0; the classes are y > 0 and y <= 0 (Tsai et al. 2019)
///
/// F1 is the mean of the two classes' F1 weighted by how many targets each class has, as these benchmarks report it.
/// Released code of some papers passes predictions and targets the wrong way round, which weights by predictions.
struct SignScores {
  double accuracy_with_zeros = 0, f1_with_zeros = 0;
  std::optional<double> accuracy_without_zeros, f1_without_zeros;  ///< empty where all targets are 0
  Eigen::Index zeros = 0;                                          ///< rows whose target is 0
};
SignScores sign_scores(const ConstVectorRef& prediction, const ConstVectorRef& target);

/// Of intervals [low, high] that may be infinite: share of targets inside, ends included, and mean width.
struct IntervalScores {
  double coverage = 0;
  double low = 0, high = 1;  ///< 95 % interval (Wilson) of the coverage
  double mean_width = 0;
};
IntervalScores interval_scores(const ConstVectorRef& low, const ConstVectorRef& high, const ConstVectorRef& target);

/// mean of log(sd) + log(2 pi) / 2 + (target - mean)^2 / (2 sd^2), sd > 0.
double gaussian_log_loss(const ConstVectorRef& mean, const ConstVectorRef& deviation, const ConstVectorRef& target);

}  // namespace clearway
