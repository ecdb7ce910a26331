// Single-index families: one response whose density depends on the inputs through eta = b + a'x (+ offset) only, and on
// at most three further parameters. Value and derivatives of log f(y | eta, extras), for Newton's method and information.
//
// The formula of each density is the one in clearway/core/experts; tests compare the derivatives with automatic
// differentiation of it.
#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway::detail {

/// l = log f(y | eta, s, m, t) and its derivatives; s is log sigma or log shape, m is log nu (Student t) or the slant
/// (skew-normal, skew-t), t is log nu (skew-t).
struct PointDerivatives {
  double value = 0;
  double eta = 0, eta_eta = 0;
  double s = 0, s_s = 0, eta_s = 0;
  double m = 0, m_m = 0, eta_m = 0, s_m = 0;
  double t = 0, t_t = 0, eta_t = 0, s_t = 0, m_t = 0;
  double information = 0;  ///< expected (or Gauss-Newton) information of eta, never negative
};

/// A parameter beside intercept and slopes: what the parameter map, starts and summaries need to know of it.
struct ExtraParameter {
  std::string_view name;
  double lower, upper;  ///< bounds; a noise scale has the floor of the fit below
  double start;
  bool is_scale = false;  ///< logarithm of a noise scale, moves with the scale of the response
};
/// The extra parameters of a kind, in order; empty for kinds that keep their own layout (classes,
/// heteroscedastic); the last parameter of a network is its log(sigma).
std::span<const ExtraParameter> extra_parameters(ExpertKind kind);
inline int extra_count(ExpertKind kind) {
  return static_cast<int>(extra_parameters(kind).size());
}
/// True for kinds handled here (all but network, classes and vector responses).
bool is_single_index(ExpertKind kind);
/// False when the log density has kinks in its parameters (ReLU, leaky ReLU, Laplace).
bool is_smooth(ExpertKind kind);

/// What point_derivatives() must fill in.
enum class Order { value, derivatives };

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

/// Derivatives at one observation. `extra` points to the extra parameters (heteroscedastic: log sigma of the row);
/// `trials` is used by binomial, `event` by kinds that allow censoring: 1 observed, 0 above y, -1 below y.
/// A density of 0 has the value -infinity and derivatives 0.
PointDerivatives point_derivatives(const ExpertSpec& spec, double y, double eta, const double* extra, double trials,
                                   double event = 1.0, Order order = Order::derivatives);

/// E[y | eta] (binomial: trials * p); of kinds that allow censoring, before censoring. NaN where eta is not allowed.
double family_mean(const ExpertSpec& spec, double eta, const double* extra, double trials);
/// Var[y | eta], infinite where it does not exist.
double family_variance(const ExpertSpec& spec, double eta, const double* extra, double trials);
/// P(Y <= y | eta).
double family_distribution(const ExpertSpec& spec, double y, double eta, const double* extra, double trials);

}  // namespace clearway::detail
