// Means over repetitions, and differences that are paired by repetition, with Student's interval.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

namespace clearway::train {

struct Moments {
  double mean = 0;
  double deviation = 0;  ///< divisor J - 1; 0 for fewer than two
};
Moments moments(std::span<const double> values);

struct PairedDifference {
  std::size_t pairs = 0;
  double mean = 0;
  double low = std::numeric_limits<double>::quiet_NaN();  ///< 95 % interval; NaN for fewer than two pairs
  double high = std::numeric_limits<double>::quiet_NaN();
  bool within_noise = true;  ///< the interval holds 0, or there is none
};
/// The standard error is sqrt((1/J + overlap) s^2). `overlap` is 0 for independent repetitions, and n_test / n_train for random
/// re-splits of one set (Nadeau and Bengio 2003, "Inference for the generalization error").
PairedDifference paired_difference(std::span<const double> differences, double overlap = 0);

}  // namespace clearway::train
