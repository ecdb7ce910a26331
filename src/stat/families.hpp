// The single-index families one by one: value and derivatives of log f(y | eta, extras). response_family.hpp chooses
// among them; formulas in clearway/core/experts.
#pragma once

#include "response_family.hpp"

namespace clearway::detail {

// Positive responses.
PointDerivatives gamma_point(LinkKind link, double y, double eta, const double* extra, Order order);
PointDerivatives inverse_gaussian_point(LinkKind link, double y, double eta, const double* extra, Order order);
PointDerivatives weibull_point(double y, double eta, const double* extra, double event);
PointDerivatives exponential_point(double y, double eta, double event);
PointDerivatives beta_point(double y, double eta, const double* extra, Order order);

// Counts.
PointDerivatives negative_binomial_point(double y, double eta, const double* extra, Order order);
PointDerivatives zero_inflated_poisson_point(double y, double eta, const double* extra);

// Real responses.
PointDerivatives laplace_point(double y, double eta, const double* extra);
PointDerivatives skew_normal_point(double y, double eta, const double* extra);
PointDerivatives skew_t_point(double y, double eta, const double* extra, Order order);
PointDerivatives tobit_point(double y, double eta, const double* extra, double event);

/// Mean of a positive response and its first two derivatives in eta; NaN where eta is outside of the link's domain.
LinkValue link_mean(LinkKind link, double eta);

}  // namespace clearway::detail
