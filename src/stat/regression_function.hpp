// The regression function f_G(x) = sum_k gate_k(x) h_k(x) and its derivatives: what least squares needs to know of gates
// and experts (Nguyen, Ho and Rinaldo, ICML 2024, arXiv 2402.02952).
//
//   d f / d gate      = sum_k h_k d gate_k / d theta     (Gate::combination_jacobian)
//   d f / d expert k  = gate_k d h_k / d eta_k
//
// f is linear in the coefficients of linear and constant experts and in the output layer of network experts, all taken
// together.
#pragma once

#include <vector>

#include "clearway/stat/least_squares.hpp"

namespace clearway::detail {

/// Whether least squares knows the mean of the kind as a smooth (or piecewise smooth) function for a real response.
bool has_regression_mean(ExpertKind kind);
/// Number of leading parameters of an expert on which its mean depends.
Eigen::Index mean_parameter_count(const Expert& expert);
/// First of the parameters (0 .. mean_parameter_count) in which the mean is linear; all after it are, too.
Eigen::Index first_linear_parameter(const Expert& expert);
/// Means of one response, one column per expert: n x k.
Matrix expert_means(const MixtureModel& model, const Data& inputs, int response);
/// d h / d parameters for one response: n x mean_parameter_count(expert).
Matrix expert_mean_jacobian(const Expert& expert, const Data& inputs, int response);
/// Columns of d f_response / d parameter for the given parameters, in their order: n x parameters.size().
Matrix regression_jacobian(const MixtureModel& model, const std::vector<RegressionParameter>& parameters,
                           const Data& inputs, int response);

}  // namespace clearway::detail
