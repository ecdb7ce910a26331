// Profile-likelihood intervals: all values of one parameter that a likelihood ratio test would not reject,
//   { v : 2 (max l - max_{psi = v} l) <= chi2_1 quantile },
// found by refitting all other parameters with that one fixed (Newton's method on the exact information along the
// constraint). They do not depend on how the parameter is written, may be lopsided, and stay honest where Wald intervals
// are not: near bounds, for flat likelihoods; an end may be infinite. Venzon and Moolgavkar 1988.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "clearway/stat/inference.hpp"

namespace clearway {

struct ProfileInterval {
  std::string name;  ///< as in Inference::names
  double level = 0.95;
  double estimate = std::numeric_limits<double>::quiet_NaN();
  double lower = std::numeric_limits<double>::quiet_NaN();  ///< -infinity where the likelihood never falls so far
  double upper = std::numeric_limits<double>::quiet_NaN();
  /// Values at which the profile was computed, increasing, with 2 (max l - profile).
  std::vector<std::pair<double, double>> profile;
  std::string note;  ///< a sentence where an end was not found, else empty
};

/// The interval of a coefficient of an expert or the gate, of sigma, nu, shape (or whatever else is kept as a logarithm),
/// or of the noise weight, by its name in the table of `inference`. Throws std::invalid_argument for other parameters and
/// for fits with a ridge penalty.
ProfileInterval profile_interval(const Data& data, const FitResult& result, const ModelNames& names,
                                 const Inference& inference, const std::string& name, double level = 0.95,
                                 int threads = 1);

/// The intervals as a table of text.
std::string profile_text(const std::vector<ProfileInterval>& intervals, int digits, std::size_t width);

}  // namespace clearway
