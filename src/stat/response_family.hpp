// Single-index families: one response whose density depends on the inputs through eta = b + a'x (+ offset) only, and on
// at most two further parameters. Value and derivatives of log f(y | eta, extras), for Newton's method and information.
//
// The formula of each density is the one in clearway/core/experts; tests compare the derivatives with automatic
// differentiation of it.
#pragma once

#include <cmath>
#include <limits>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway::detail {

/// l = log f(y | eta, s, m) and its derivatives; s is log sigma or log shape, m is log nu (Student t).
struct PointDerivatives {
  double value = 0;
  double eta = 0, eta_eta = 0;
  double s = 0, s_s = 0, eta_s = 0;
  double m = 0, m_m = 0, eta_m = 0, s_m = 0;
  double information = 0;  ///< expected (or Gauss-Newton) information of eta, never negative
};

/// Number of parameters beside intercept and slopes.
int extra_count(ExpertKind kind);
/// True for kinds handled here (all but network, multinomial and vector responses).
bool is_single_index(ExpertKind kind);

/// Mean function g(eta) of the Gaussian kinds with first and second derivative.
struct LinkValue {
  double g, first, second;
};
LinkValue link_value(const ExpertSpec& spec, double eta);

double log_gamma(double x);
/// log n!, from a table for small whole n.
double log_factorial(double n);
double digamma(double x);
double trigamma(double x);
/// Maximum likelihood shape of a gamma distribution with known means: log a - digamma(a) = mean of ratio - log ratio - 1,
/// ratio = y / mean. Means below 1e-10 count as 1e-10.
double gamma_shape(double mean);

/// log Gamma((nu+1)/2) - log Gamma(nu/2) and its first two derivatives in nu.
struct GammaRatio {
  double value, first, second;
};
GammaRatio half_step_gamma_ratio(double nu);

/// Derivatives at one observation. `extra` points to the extra parameters; `trials` is used by binomial only.
PointDerivatives point_derivatives(const ExpertSpec& spec, double y, double eta, const double* extra, double trials);

/// E[y | eta] (binomial: trials * p).
double family_mean(const ExpertSpec& spec, double eta, double trials);

}  // namespace clearway::detail
