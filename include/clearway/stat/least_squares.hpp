// Least squares for a deterministic mixture of experts: y = f_G(x) + noise, f_G(x) = sum_k gate_k(x) h(x; eta_k).
//
// The model is a regression function, not a mixture density: the gate averages the experts and no row belongs to one.
// Statistics: Nguyen, Ho and Rinaldo, ICML 2024, arXiv 2402.02952 (softmax gate); NeurIPS 2024, arXiv 2405.13997 (sigmoid
// gate). Numerics: Levenberg-Marquardt (More 1978) on orthogonal factors of the Jacobian; parameters in which f is linear
// are eliminated by variable projection (Golub and Pereyra 1973, in the form of Kaufman 1975). See docs/least-squares.md.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"

namespace clearway {

/// One free parameter of the regression function.
struct RegressionParameter {
  bool gate = false;       ///< of the gate, else of an expert
  int expert = 0;          ///< whose block it lies in; -1 for parameters of the gate that belong to no expert
  Eigen::Index index = 0;  ///< in Gate::parameters(), or in Expert::parameters() of that expert
  bool linear = false;     ///< f is linear in all parameters with this mark taken together
};

/// The free parameters in the order of every Jacobian and covariance below: gate (pinned ones left out; none for one
/// expert), then expert 1, 2, ... without their noise levels. Throws std::invalid_argument for experts that have no mean
/// for a real response.
std::vector<RegressionParameter> regression_parameters(const MixtureModel& model);

/// "gate 1: x1", "expert 2: (intercept)". Names that are not given are x1, x2, ... and y1, y2, ...
std::vector<std::string> regression_parameter_names(const MixtureModel& model,
                                                    const std::vector<RegressionParameter>& parameters,
                                                    const std::vector<std::string>& gate_inputs = {},
                                                    const std::vector<std::string>& expert_inputs = {},
                                                    const std::vector<std::string>& responses = {});

/// First derivatives of f at a model, and what is left of the response there.
struct RegressionJacobian {
  std::vector<RegressionParameter> parameters;  ///< the columns
  Matrix jacobian;                              ///< (n m) x p: all rows of response 1, then those of response 2, ...
  Matrix residuals;                             ///< n x m: response - f
};
/// Throws std::invalid_argument when model and data do not fit together.
RegressionJacobian regression_jacobian(const MixtureModel& model, const Data& data);

/// What the covariance of the estimates assumes.
enum class RegressionCovarianceKind { classical, sandwich, misspecified };

inline std::span<const EnumName<RegressionCovarianceKind>> enum_names(RegressionCovarianceKind) {
  static constexpr std::array<EnumName<RegressionCovarianceKind>, 3> names{{
      {RegressionCovarianceKind::classical, "classical", "noise of one variance (per response)"},
      {RegressionCovarianceKind::sandwich, "sandwich", "noise whose variance may depend on the inputs"},
      {RegressionCovarianceKind::misspecified, "misspecified",
       "f_G may only approximate the true regression function; the estimates are those of the best approximation"},
  }};
  return names;
}

/// Covariance of the least-squares estimates, and how far it can be trusted.
struct RegressionCovariance {
  std::vector<RegressionParameter> parameters;
  Matrix covariance;         ///< p x p; rows and columns of undetermined parameters are NaN
  Vector errors;             ///< p standard errors, NaN where undetermined
  int rank = 0;              ///< numerical rank of the Jacobian with columns of unit length
  double condition = 0;      ///< its largest singular value over its smallest
  bool trustworthy = false;  ///< full rank, condition at most kLargestTrustedCondition, and more rows than parameters
  std::string reason;        ///< why not, a full sentence; empty when trustworthy
};

/// Condition of the Jacobian (columns of unit length) from which linearisation errors exceed the standard errors they
/// should measure: flat to about 1e-4 of a typical direction.
inline constexpr double kLargestTrustedCondition = 1e4;

/// With J the Jacobian, W the case weights, e the residuals and p parameters (n: sum of the weights):
///   classical     s^2 (J'WJ)^-1,                     s^2 = e'We / (n - p)
///   sandwich      (J'WJ)^-1 M (J'WJ)^-1,             M = n / (n - p) sum_t g_t g_t',  g_t = w_t J_t' e_t
///   misspecified  H^-1 M H^-1,                       H = J'WJ - sum_t w_t e_t d2f_t
/// Case weights are taken as precisions, not as repeat counts, in M. Several responses are standardised as in the fit.
/// The model must be a least-squares solution on these data for the numbers to mean anything.
RegressionCovariance least_squares_covariance(const MixtureModel& model, const Data& data,
                                              RegressionCovarianceKind kind = RegressionCovarianceKind::sandwich);

/// Fits the regression function; fit() calls it for FitMethod::least_squares. Several responses count as their sum of
/// squares in units of their standard deviations. Throws std::invalid_argument for wrong options or data; not converging
/// is no exception.
FitResult fit_least_squares(const Data& data, const FitOptions& options, const MixtureModel* user_start = nullptr,
                            const ProgressCallback& progress = {});

}  // namespace clearway
