// Polynomials of the response whose cross-moments with a Gaussian input see one expert at a time.
//
// Let y = g(a'x) + N(0, sigma^2) with x ~ N(0, I), |a| = 1 and Z = a'x. The cubic transform
//   P3(y) = y^3 + alpha y^2 + beta y        has E[d/dz E[P3 | Z]] = E[d^2/dz^2 E[P3 | Z]] = 0,
// the quadratic and the quartic transforms
//   P2(y) = y^2 + gamma y,                  Q4(y) = y^4 + alpha4 y^3 + beta4 y^2 + gamma4 y
// null the derivatives of order 1, and of orders 1 to 3. Then, for a gate that does not look along the regressors,
//   E[P2 S2(x)] = c2 sum_i w_i a_i a_i',  E[P3 S3(x)] = c3 sum_i w_i a_i^(x3),  E[Q4 S4(x)] = c4 sum_i w_i a_i^(x4)
// with the Hermite tensors S_m. By Stein's identity E[f^(m)(Z)] = E[f(Z) He_m(Z)], so that everything follows from
// M[r][m] = E[g(Z)^r He_m(Z)]; kinks of g (ReLU) are handled by the identity and need no special care. The noise
// enters beta, beta4 and gamma4 only. Method: Makkuva, Oh, Kannan and Viswanath, ICML 2019 (cubic and quadratic) and
// AISTATS 2020 (quartic); the conditions as written here are derived in docs/spectral.md.
#pragma once

#include <array>
#include <string>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway {

/// True for the mean functions g(a'x) that have one response transform: linear, sigmoid, tanh, relu, leaky-relu,
/// polynomial.
bool has_mean_function(ExpertKind kind);

/// g(eta). Throws std::invalid_argument for a kind without a mean function of this form.
double mean_function(const ExpertSpec& link, double eta);
/// g'(eta); at the kink of a ReLU the slope on the left.
double mean_function_slope(const ExpertSpec& link, double eta);
/// g and g' of every entry of `eta` in one go; `slope` may be null.
void mean_function(const ExpertSpec& link, const Matrix& eta, Matrix& value, Matrix* slope = nullptr);

/// M[r][m] = E[g(Z)^r He_m(Z)], Z ~ N(0, 1), r and m from 0 to 4, He the probabilists' Hermite polynomials.
/// Closed forms for powers and for (leaky) ReLU, trapezoid sums for sigmoid and tanh: errors of a few 1e-16 relative.
using HermiteMoments = std::array<std::array<double, 5>, 5>;
HermiteMoments hermite_moments(const ExpertSpec& link);

/// The constants of one mean function. A transform that does not exist, or whose signal c is zero (the cubic one for an
/// even g, because T3 vanishes), has its flag false and its constants NaN.
struct ResponseTransform {
  ExpertSpec link;
  HermiteMoments moments{};

  bool has_quadratic = false;
  double gamma = 0;  ///< P2 = y^2 + gamma y
  double c2 = 0;

  bool has_cubic = false;
  double alpha = 0;
  double b = 0;  ///< beta = b - 3 sigma^2
  double c3 = 0;

  bool has_quartic = false;
  double alpha4 = 0;
  double b2 = 0;  ///< beta4 = b2 - 6 sigma^2
  double b1 = 0;  ///< gamma4 = b1 - 3 alpha4 sigma^2
  double c4 = 0;

  double beta(double sigma) const { return b - 3 * sigma * sigma; }
  double beta4(double sigma) const { return b2 - 6 * sigma * sigma; }
  double gamma4(double sigma) const { return b1 - 3 * alpha4 * sigma * sigma; }

  double quadratic(double y) const { return (y + gamma) * y; }
  double cubic(double y, double sigma) const { return ((y + alpha) * y + beta(sigma)) * y; }
  double quartic(double y, double sigma) const { return (((y + alpha4) * y + beta4(sigma)) * y + gamma4(sigma)) * y; }

  /// E[d^m/dz^m E[P | Z]] that ought to be 0: quadratic m = 1; cubic m = 1, 2; quartic m = 1, 2, 3 (in this order).
  std::array<double, 6> null_conditions() const;
};

/// Computes the constants. Throws std::invalid_argument for a kind without a mean function g(a'x).
ResponseTransform response_transform(const ExpertSpec& link);

}  // namespace clearway
