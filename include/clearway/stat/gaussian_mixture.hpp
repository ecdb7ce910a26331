// A small Gaussian mixture over the inputs, for inputs that are not Gaussian themselves.
//
// Its density p gives score tensors S_m(x) = (-1)^m grad^m p / p = sum_c r_c(x) H_m(x; component c) with the
// responsibilities r_c: with s_c = P_c (x - mean_c) and precision P_c, S2 = sum_c r_c (s_c s_c' - P_c) and
// S3 = sum_c r_c (s_c^(x3) - sym3(s_c, P_c)). Exact for the mixture; an approximation for anything else. Even exact
// scores do not restore the nulling conditions of the response transforms, which are those of Gaussian inputs: with
// them the spectral method is a starting value (docs/spectral.md).
#pragma once

#include <cstdint>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

struct GaussianComponent {
  double log_weight = 0;
  Vector mean;                ///< r
  Matrix covariance;          ///< r x r
  Matrix precision;           ///< r x r
  Matrix factor;              ///< lower L with precision = L^-T L^-1, that is covariance = L L'
  double log_normaliser = 0;  ///< -r/2 log(2 pi) - log|L|
};

struct GaussianMixture {
  std::vector<GaussianComponent> components;
  double log_likelihood = 0;  ///< mean per row of the data it was fitted to
  double bic = 0;             ///< -2 ll + df log n on those data

  /// n x C responsibilities.
  Matrix responsibilities(const ConstMatrixRef& z) const;
};

struct GaussianMixtureOptions {
  int components = 4;
  int iterations = 30;
  double tolerance = 1e-5;   ///< stops when the mean log-likelihood gains less
  double ridge = 1e-3;       ///< added to the covariances, in units of the (whitened) inputs
  Eigen::Index rows = 5000;  ///< fits on at most so many rows, evenly spaced
  std::uint64_t seed = 1;
};

/// Two mixtures by EM, the one of lower BIC is kept: components of any mean and covariance from spread centres, and
/// components N(0, s_c I) (at least 8), a scale mixture: few parameters and right for heavy-tailed elliptical inputs.
/// `z` is expected whitened. Components that lose their rows are dropped. One component: mean and covariance of the
/// rows. Throws std::invalid_argument for fewer than 1 component or no rows.
GaussianMixture fit_gaussian_mixture(const Matrix& z, const GaussianMixtureOptions& options);

}  // namespace clearway
