#include "clearway/stat/gate_em.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "clearway/base/errors.hpp"
#include "clearway/stat/softmax_step.hpp"

namespace clearway {
namespace detail {

Matrix gaussian_log_density(const Vector& y, const Matrix& means, double variance) {
  return ((means.colwise() - y).array().square() * (-0.5 / variance) - 0.5 * std::log(2 * std::numbers::pi * variance))
      .matrix();
}

double nearest_square(const Vector& y, const Matrix& means) {
  const double nearest = (means.colwise() - y).array().square().rowwise().minCoeff().mean();
  const double spread = (y.array() - y.mean()).square().mean();
  return std::max({nearest, 1e-8 * spread, 1e-300});
}

double rows_to_responsibilities(Matrix& log_density) {
  Eigen::ArrayXd top = log_density.col(0);
  for (Eigen::Index i = 1; i < log_density.cols(); ++i) top = top.max(log_density.col(i).array());
  Eigen::ArrayXd total = Eigen::ArrayXd::Zero(log_density.rows());
  for (Eigen::Index i = 0; i < log_density.cols(); ++i) {
    log_density.col(i) = (log_density.col(i).array() - top).exp();
    total += log_density.col(i).array();
  }
  for (Eigen::Index i = 0; i < log_density.cols(); ++i) log_density.col(i).array() /= total;
  return (top + total.log()).mean();
}

}  // namespace detail

namespace {

void check(const Matrix& gate_inputs, const Matrix& per_expert, const GateEmOptions& options) {
  if (gate_inputs.rows() != per_expert.rows() || gate_inputs.rows() < 1)
    user_error("gate EM got {} rows of gate inputs and {} of experts", gate_inputs.rows(), per_expert.rows());
  if (per_expert.cols() < 1) user_error("gate EM needs at least 1 expert");
  const Eigen::Index p = gate_inputs.cols() + (options.intercept ? 1 : 0);
  if (options.start.size() > 0 && (options.start.rows() != per_expert.cols() || options.start.cols() != p))
    user_error("the start of gate EM must be {} x {}, not {} x {}", per_expert.cols(), p, options.start.rows(),
               options.start.cols());
  if (options.newton_steps < 1) user_error("newton_steps must be at least 1, not {}", options.newton_steps);
  if (options.sigma_every < 1) user_error("sigma_every must be at least 1, not {}", options.sigma_every);
}

/// y and means null for experts of any kind.
GateEmResult run(const Matrix& gate_inputs, Matrix log_density, const Vector* y, const Matrix* means, double variance,
                 const GateEmOptions& options, bool keep_coefficients) {
  const Matrix features = options.intercept ? with_ones(gate_inputs) : gate_inputs;
  const Eigen::Index k = log_density.cols();
  const bool estimate = means != nullptr && std::isnan(options.sigma);
  const double length = options.gradient_length > 0 ? options.gradient_length : (k <= 2 ? 4.0 : 2.0);
  const SoftmaxStepOptions step_options{.ridge = options.ridge, .threads = options.threads};

  GateEmResult result;
  result.coefficients = options.start.size() > 0 ? options.start : Matrix(Matrix::Zero(k, features.cols()));
  result.coefficients.rowwise() -= Eigen::RowVectorXd(result.coefficients.row(k - 1));
  bool sigma_moved = false;
  for (;; ++result.iterations) {
    result.responsibilities = log_softmax_rows(features, result.coefficients, options.threads) + log_density;
    const double value = detail::rows_to_responsibilities(result.responsibilities);
    const double gain = value - result.mean_log_likelihood;
    result.mean_log_likelihood = value;
    result.history.push_back(value);
    if (keep_coefficients) result.coefficients_history.push_back(result.coefficients);
    // Small gains just after the noise level moved say nothing yet; a noise estimate is due before stopping.
    const bool still = result.iterations > 0 && gain < options.tolerance && !sigma_moved;
    const bool stop = (still && !estimate) || result.iterations >= options.max_iterations;
    sigma_moved = false;
    if (stop) {
      result.converged = still;
      break;
    }
    if (estimate && (still || (result.iterations + 1) % options.sigma_every == 0)) {
      const double next = std::max((result.responsibilities.array() * (means->colwise() - *y).array().square()).sum() /
                                       static_cast<double>(y->size()),
                                   1e-300);
      if (still && std::abs(next - variance) <= 1e-6 * variance) {
        result.converged = true;
        break;
      }
      variance = next;
      log_density = detail::gaussian_log_density(*y, *means, variance);
      sigma_moved = true;
    }
    if (options.step == GateStep::newton) {
      // The decrement squares from step to step: below 1e-5 the step just taken was the last one that matters.
      constexpr double kLastDecrement = 1e-5;
      for (int i = 0; i < options.newton_steps; ++i)
        if (softmax_newton_step(features, result.responsibilities, result.coefficients, step_options).decrement <
            kLastDecrement)
          break;
    } else {
      softmax_gradient_step(features, result.responsibilities, length, result.coefficients, options.threads);
    }
  }
  if (means != nullptr) result.sigma = std::sqrt(variance);
  return result;
}

}  // namespace

GateEmResult gate_em(const Matrix& gate_inputs, const Vector& y, const Matrix& means, const GateEmOptions& options,
                     bool keep_coefficients) {
  check(gate_inputs, means, options);
  if (y.size() != means.rows()) user_error("gate EM got {} responses and {} rows of means", y.size(), means.rows());
  if (options.sigma <= 0) user_error("sigma must be above 0, not {}", options.sigma);
  const double variance = std::isnan(options.sigma) ? detail::nearest_square(y, means) : options.sigma * options.sigma;
  return run(gate_inputs, detail::gaussian_log_density(y, means, variance), &y, &means, variance, options,
             keep_coefficients);
}

GateEmResult gate_em(const Matrix& gate_inputs, const Matrix& log_density, const GateEmOptions& options,
                     bool keep_coefficients) {
  check(gate_inputs, log_density, options);
  return run(gate_inputs, log_density, nullptr, nullptr, 1, options, keep_coefficients);
}

}  // namespace clearway
