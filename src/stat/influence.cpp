#include "clearway/stat/influence.hpp"

#include <cmath>
#include <limits>

#include "clearway/base/parallel.hpp"
#include "clearway/stat/residuals.hpp"
#include "local_likelihood.hpp"
#include "optimise.hpp"
#include "sampling_units.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// The response the mean is compared with: class indicators for classes.
Matrix response_of(const MixtureModel& model, const Data& data) {
  if (!has_class_response(model)) return data.response;
  Matrix indicator = Matrix::Zero(data.rows(), data.classes);
  for (Index t = 0; t < data.rows(); ++t) indicator(t, static_cast<Index>(data.response(t, 0))) = 1;
  return indicator;
}

Vector case_weights(const Data& data) {
  return data.weights.size() ? Vector(data.weights) : Vector::Ones(data.rows());
}

// Rows j n .. (j + 1) n - 1 of the Jacobian of the stacked means belong to response j.
Vector generalised_leverage(const Data& data, const detail::LocalLikelihood& local, const Matrix& mean_jacobian) {
  const Index n = data.rows();
  Vector leverage = Vector::Zero(n);
  for (Index j = 0; j < data.response.cols(); ++j) {
    // d s_t / d y_t by central differences: the score of a row depends on its own response only. Positive responses
    // stay positive.
    const Vector y = data.response.col(j);
    Vector h = Vector::Constant(n, 1e-4 * std::max(local.scaling().response_deviation(j), 1e-12));
    if (y.minCoeff() > 0) h = h.cwiseMin(1e-4 * y);
    Data up = data, down = data;
    up.response.col(j) = y + h;
    down.response.col(j) = y - h;
    const Matrix slope = (2 * h).cwiseInverse().asDiagonal() * (local.row_scores(up) - local.row_scores(down));
    leverage += (slope * local.covariance()).cwiseProduct(mean_jacobian.middleRows(j * n, n)).rowwise().sum();
  }
  return leverage;
}

}  // namespace

Influence influence(const Data& data, const MixtureModel& model, const FitOptions& fitted_with) {
  const detail::LocalLikelihood local(data, model, fitted_with);
  const Index n = data.rows();
  const Vector w = case_weights(data);
  const Matrix scores = local.row_scores(data);
  const Matrix jacobian = local.jacobian([&](const MixtureModel& m) { return Vector(m.mean(data).reshaped()); });
  Influence result;
  result.flat = local.flat();
  result.parameters = static_cast<int>(local.active().size());
  const double largest = jacobian.cwiseAbs().maxCoeff();
  for (const Index i : local.active())
    if (jacobian.col(i).cwiseAbs().maxCoeff() > 1e-9 * largest) ++result.mean_parameters;

  const bool classes = has_class_response(model);
  result.leverage = classes ? Vector::Constant(n, std::numeric_limits<double>::quiet_NaN())
                            : generalised_leverage(data, local, jacobian);
  const detail::SamplingUnits units(data.groups, n);  // a group is left out as a whole
  Matrix delta = -units.sums(scores) * local.covariance();
  delta = delta(units.unit_of_row, Eigen::all).eval();  // n x p
  for (Index t = 0; t < n && data.groups.empty(); ++t)
    if (result.leverage(t) >= 0 && result.leverage(t) < 1) delta.row(t) /= 1 - result.leverage(t);
  result.likelihood_displacement = (delta * local.information()).cwiseProduct(delta).rowwise().sum();
  result.cook_parameters = result.likelihood_displacement / std::max(1, result.parameters);

  // sum_i w_i (d mu_i' delta)^2 is a quadratic form in delta, one per response, each in units of its residuals.
  const Matrix residual = response_of(model, data) - model.mean(data);
  Matrix form = Matrix::Zero(jacobian.cols(), jacobian.cols());
  const double free = w.sum() - result.mean_parameters;
  for (Index j = 0; j < residual.cols(); ++j) {
    const double variance = w.dot(residual.col(j).cwiseAbs2()) / free;
    const Matrix part = jacobian.middleRows(j * n, n);
    if (variance > 0) form += part.transpose() * (w / variance).asDiagonal() * part;
  }
  result.cook_predictions = (delta * form).cwiseProduct(delta).rowwise().sum() / std::max(1, result.mean_parameters);
  return result;
}

std::vector<Deletion> delete_rows(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                                  const Influence& one_step, const std::vector<Index>& rows, int threads) {
  const double original = model.log_likelihood(data);
  const Matrix mean = model.mean(data);
  const Matrix residual = response_of(model, data) - mean;
  const Vector deviation = residual.colwise().norm() / std::sqrt(static_cast<double>(data.rows()));
  const detail::SamplingUnits units(data.groups, data.rows());
  std::vector<Deletion> deletions(rows.size());
  parallel_for(rows.size(), threads, [&](std::size_t i) {
    Deletion& deletion = deletions[i];
    deletion.row = rows[i];
    deletion.one_step = one_step.likelihood_displacement(rows[i]);
    const std::size_t unit = units.unit_of_row[static_cast<std::size_t>(rows[i])];
    std::vector<Index> kept;
    for (Index t = 0; t < data.rows(); ++t)
      if (units.unit_of_row[static_cast<std::size_t>(t)] != unit) kept.push_back(t);
    try {
      const detail::LocalLikelihood local(data.subset(kept), model, fitted_with);
      MixtureModel moved = local.model();
      const detail::OptimiseOutcome outcome = detail::optimise(local.engine(), moved,
                                                               {.max_iterations = fitted_with.max_iterations,
                                                                .tolerance = fitted_with.tolerance,
                                                                .acceleration = fitted_with.acceleration,
                                                                .newton = fitted_with.newton});
      deletion.converged = outcome.converged;
      moved = local.scaling().to_raw(moved);
      deletion.log_likelihood_drop = 2 * (original - moved.log_likelihood(data));
      const Matrix change = (moved.mean(data) - mean).cwiseAbs() * deviation.cwiseInverse().asDiagonal();
      deletion.largest_move = change.maxCoeff();
    } catch (const std::exception& error) {
      deletion.failure = error.what();
    }
  });
  return deletions;
}

}  // namespace clearway
