// EM for a softmax gate whose experts are known: the second half of the spectral method (algorithm B of
// docs/spectral.md; Makkuva, Oh, Kannan and Viswanath, ICML 2019).
//
//   p(y | x) = sum_i softmax_i(W [1, x]) f_i(y | x),     f_i fixed
//
// With the experts fixed each M-step is a concave softmax regression on the responsibilities; one guarded Newton step
// of it (or one gradient step) per E-step. The noise level of Gaussian experts is estimated again on the way: when the
// regressors carry an error e, the residuals have variance sigma^2 + e^2, and a noise level held at sigma makes the
// responsibilities far too sure of themselves.
#pragma once

#include <limits>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

enum class GateStep { newton, gradient };

struct GateEmOptions {
  int max_iterations = 500;
  double tolerance = 1e-9;  ///< stops when the mean log-likelihood rises by less
  bool intercept = true;    ///< a column of ones in the gate
  /// Noise standard deviation, held fixed. NaN: estimated, from the mean squared distance to the nearest expert on.
  double sigma = std::numeric_limits<double>::quiet_NaN();
  int sigma_every = 8;  ///< iterations between two estimates of the noise level
  GateStep step = GateStep::newton;
  /// Newton steps of one M-step, at most; it ends when a step promises a gain below 1e-5. 1: a single guarded step.
  int newton_steps = 20;
  double gradient_length = 0;  ///< gradient steps, for inputs of covariance I; 0: 4 for two experts, 2 for more
  double ridge = 1e-6;
  Matrix start;  ///< k x (1 + q) (k x q without intercept), or empty: zero, the recommended start
  int threads = 1;
};

struct GateEmResult {
  Matrix coefficients;  ///< k x (1 + q): intercept first (k x q without intercept); last row 0
  double sigma = std::numeric_limits<double>::quiet_NaN();  ///< as given or estimated; NaN for general experts
  double mean_log_likelihood = -std::numeric_limits<double>::infinity();
  Matrix responsibilities;  ///< n x k, at the coefficients
  int iterations = 0;
  bool converged = false;
  std::vector<double> history;               ///< mean log-likelihood before every iteration, and at the end
  std::vector<Matrix> coefficients_history;  ///< the coefficients at the same moments, when asked for
};

/// Gaussian experts of one noise level: `means` is n x k, the mean of every expert at every row.
GateEmResult gate_em(const Matrix& gate_inputs, const Vector& y, const Matrix& means, const GateEmOptions& options,
                     bool keep_coefficients = false);

/// Experts of any kind: `log_density` is n x k, log f_i(y_t | x_t); sigma of the options is not used.
GateEmResult gate_em(const Matrix& gate_inputs, const Matrix& log_density, const GateEmOptions& options,
                     bool keep_coefficients = false);

namespace detail {

/// -(y - mean)^2 / (2 s2) - log(2 pi s2) / 2 per row and expert.
Matrix gaussian_log_density(const Vector& y, const Matrix& means, double variance);
/// Mean over rows of min_i (y - mean_i)^2: where the noise estimate starts, floored at 1e-8 of the variance of y.
double nearest_square(const Vector& y, const Matrix& means);
/// Turns rows of log-densities into responsibilities in place; returns the mean log of the row sums.
double rows_to_responsibilities(Matrix& log_density);

}  // namespace detail
}  // namespace clearway
