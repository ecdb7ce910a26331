#include <Eigen/LU>
#include <Eigen/SVD>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/least_squares.hpp"
#include "regression_function.hpp"

namespace clearway {
namespace {

using Eigen::Index;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kDependent = 1e-10;  // singular values of unit columns below this share of the largest are rounding

void check(const MixtureModel& model, const Data& data) {
  if (model.experts.empty() || model.gate.experts() != model.expert_count())
    user_error("a regression function needs as many experts as its gate weighs");
  if (data.expert_inputs.cols() != model.experts.front().inputs() || data.gate_inputs.cols() != model.gate.inputs() ||
      data.response.cols() != model.experts.front().responses())
    user_error("the model was made for {} expert inputs, {} gate inputs and {} responses; the data have {}, {} and {}",
               model.experts.front().inputs(), model.gate.inputs(), model.experts.front().responses(),
               data.expert_inputs.cols(), data.gate_inputs.cols(), data.response.cols());
}

// Per row: weight, for all rows of all responses, divided by the variance of the response, as the fit counts them.
Vector stacked_weights(const Data& data) {
  const Index n = data.rows(), m = data.response.cols();
  const Vector weight = data.weights.size() ? data.weights : Vector::Ones(n);
  Vector stacked(n * m);
  for (Index j = 0; j < m; ++j) {
    double scale = 1;
    if (m > 1) {
      const double mean = weight.dot(data.response.col(j)) / weight.sum();
      const double variance = weight.dot((data.response.col(j).array() - mean).square().matrix()) / weight.sum();
      if (variance > 0) scale = 1 / variance;
    }
    stacked.segment(j * n, n) = scale * weight;
  }
  return stacked;
}

void set_parameters(const Vector& values, const std::vector<RegressionParameter>& parameters, MixtureModel& model) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const RegressionParameter& p = parameters[i];
    (p.gate ? model.gate.parameters()(p.index)
            : model.experts[static_cast<std::size_t>(p.expert)].parameters()(p.index)) = values(static_cast<Index>(i));
  }
}

Vector get_parameters(const std::vector<RegressionParameter>& parameters, const MixtureModel& model) {
  Vector values(static_cast<Index>(parameters.size()));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const RegressionParameter& p = parameters[i];
    values(static_cast<Index>(i)) = p.gate ? model.gate.parameters()(p.index)
                                           : model.experts[static_cast<std::size_t>(p.expert)].parameters()(p.index);
  }
  return values;
}

// Half of the Hessian of the sum of squares in the coordinates of the columns of `directions` (which have about the
// curvature 1 each): central differences of the exact gradient. The step 1e-4 of the distance at which the fit changes by
// one residual standard deviation leaves a relative error of about 1e-8 from truncation and 1e-10 from rounding.
Matrix half_hessian(const MixtureModel& model, const Data& data, const std::vector<RegressionParameter>& parameters,
                    const Matrix& directions, const Vector& weight, double deviation) {
  const Vector at = get_parameters(parameters, model);
  const auto gradient = [&](const Vector& values) {
    MixtureModel moved = model;
    set_parameters(values, parameters, moved);
    const RegressionJacobian j = regression_jacobian(moved, data);
    const Vector e = Eigen::Map<const Vector>(j.residuals.data(), j.residuals.size());
    return Vector(-directions.transpose() * (j.jacobian.transpose() * weight.cwiseProduct(e)));
  };
  const Index p = directions.cols();
  Matrix hessian(p, p);
  const double step = 1e-4 * deviation;
  for (Index i = 0; i < p; ++i) {
    const Vector move = step * directions.col(i);
    hessian.col(i) = (gradient(at + move) - gradient(at - move)) / (2 * step);
  }
  return 0.5 * (hessian + hessian.transpose());
}

}  // namespace

RegressionJacobian regression_jacobian(const MixtureModel& model, const Data& data) {
  check(model, data);
  RegressionJacobian found;
  found.parameters = regression_parameters(model);
  const Index n = data.rows(), m = data.response.cols();
  found.jacobian.resize(n * m, static_cast<Index>(found.parameters.size()));
  for (Index j = 0; j < m; ++j)
    found.jacobian.middleRows(j * n, n) =
        detail::regression_jacobian(model, found.parameters, data, static_cast<int>(j));
  found.residuals = data.response - model.mean(data);
  return found;
}

RegressionCovariance least_squares_covariance(const MixtureModel& model, const Data& data,
                                              RegressionCovarianceKind kind) {
  RegressionJacobian first = regression_jacobian(model, data);
  RegressionCovariance found;
  found.parameters = std::move(first.parameters);
  const auto p = static_cast<Index>(found.parameters.size());
  found.covariance = Matrix::Constant(p, p, kNan);
  found.errors = Vector::Constant(p, kNan);
  if (p == 0) return found;

  const Index n = data.rows(), m = data.response.cols();
  const Vector weight = stacked_weights(data);
  const Vector e = Eigen::Map<const Vector>(first.residuals.data(), n * m);
  Matrix& j = first.jacobian;
  const Vector length = (weight.cwiseSqrt().asDiagonal() * j).colwise().norm();
  const Vector inverse_length = length.cwiseMax(1e-300).cwiseInverse();
  const Matrix unit = weight.cwiseSqrt().asDiagonal() * j * inverse_length.asDiagonal();
  const Eigen::BDCSVD<Matrix> svd(unit, Eigen::ComputeThinV);
  const Vector& s = svd.singularValues();
  found.rank = static_cast<int>((s.array() > kDependent * s(0)).count());
  found.condition = s(p - 1) > 0 ? s(0) / s(p - 1) : std::numeric_limits<double>::infinity();

  // In the coordinates of the determined singular directions J'WJ is the identity.
  const Matrix directions =
      inverse_length.asDiagonal() * svd.matrixV().leftCols(found.rank) * s.head(found.rank).cwiseInverse().asDiagonal();
  const double total = data.weights.size() ? data.weights.sum() : static_cast<double>(n);
  const double left = total * static_cast<double>(m) - static_cast<double>(found.rank);
  const double squares = weight.dot(e.cwiseAbs2());
  Matrix inner;
  if (!(left > 0)) {
    found.reason =
        fmt::format("There are {} parameters for {:g} values of the response.", p, total * static_cast<double>(m));
    return found;
  }
  if (kind == RegressionCovarianceKind::classical && m == 1) {
    inner = squares / left * Matrix::Identity(found.rank, found.rank);
  } else {
    // Rows of one observation belong together: their residuals are correlated.
    Matrix score = Matrix::Zero(n, found.rank);
    if (kind == RegressionCovarianceKind::classical) {
      // Several responses: sum over pairs of J_a' W S_ab W J_b with S the residual covariance.
      const Matrix covariance = first.residuals.transpose() *
                                (data.weights.size() ? data.weights : Vector::Ones(n)).asDiagonal() * first.residuals *
                                (static_cast<double>(m) / left);
      const Matrix moved = weight.asDiagonal() * j * directions;
      const Vector plain = data.weights.size() ? data.weights : Vector::Ones(n);
      inner = Matrix::Zero(found.rank, found.rank);
      for (Index a = 0; a < m; ++a)
        for (Index b = 0; b < m; ++b)
          inner += covariance(a, b) * moved.middleRows(a * n, n).transpose() *
                   plain.cwiseMax(1e-300).cwiseInverse().asDiagonal() * moved.middleRows(b * n, n);
    } else {
      for (Index a = 0; a < m; ++a)
        score += weight.segment(a * n, n).cwiseProduct(e.segment(a * n, n)).asDiagonal() * j.middleRows(a * n, n) *
                 directions;
      inner = total * static_cast<double>(m) / left * (score.transpose() * score);
      if (kind == RegressionCovarianceKind::misspecified) {
        const Matrix h = half_hessian(model, data, found.parameters, directions, weight, std::sqrt(squares / left));
        const Matrix inverse = h.inverse();
        inner = inverse * inner * inverse.transpose();
      }
    }
  }
  found.covariance = directions * inner * directions.transpose();

  // Parameters that a direction without information moves are not determined, all others are.
  const Matrix lost = svd.matrixV().rightCols(p - found.rank);
  constexpr double kTouched = 1e-6;
  for (Index i = 0; i < p; ++i) {
    if (lost.cols() > 0 && lost.row(i).norm() > kTouched) {
      found.covariance.row(i).setConstant(kNan);
      found.covariance.col(i).setConstant(kNan);
    } else {
      found.errors(i) = std::sqrt(std::max(0.0, found.covariance(i, i)));
    }
  }
  if (found.rank < p)
    found.reason = fmt::format(
        "The data determine {} of {} directions of the parameters only; those that the others touch have no standard "
        "error.",
        found.rank, p);
  else if (found.condition > kLargestTrustedCondition)
    found.reason = fmt::format(
        "The regression function is nearly flat in some direction (condition number {:.3g}, above {:g}): estimates "
        "there "
        "are not normal, and their standard errors mean little.",
        found.condition, kLargestTrustedCondition);
  found.trustworthy = found.reason.empty();
  return found;
}

}  // namespace clearway
