#include "clearway/stat/delta_method.hpp"

#include <Eigen/Eigenvalues>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/inference.hpp"

namespace clearway {
namespace {

using Eigen::Index;
constexpr double kStep = 1e-3;   // standard errors
constexpr double kRank = 1e-13;  // relative eigenvalue of the correlation matrix below which it is rounding

}  // namespace

DeltaMethod::DeltaMethod(const MixtureModel& model, const Matrix& covariance)
    : model_(model), centre_(model_parameters(model)) {
  const Index size = centre_.size();
  if (covariance.rows() != size || covariance.cols() != size)
    user_error("the covariance of {} parameters is {} x {}, not {} x {}", size, size, size, covariance.rows(),
               covariance.cols());
  const Vector errors = covariance.diagonal().cwiseMax(0.0).cwiseSqrt();
  const Vector inverse = errors.unaryExpr([](double error) { return error > 0 ? 1 / error : 0.0; });
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(inverse.asDiagonal() * covariance * inverse.asDiagonal());
  const Vector& values = eigen.eigenvalues();
  Index first = 0;
  while (first < size && !(values(first) > kRank * values(size - 1))) ++first;
  directions_ = errors.asDiagonal() * eigen.eigenvectors().rightCols(size - first) *
                values.tail(size - first).cwiseSqrt().asDiagonal();
}

MixtureModel DeltaMethod::moved(const Vector& by) const {
  MixtureModel model = model_;
  set_model_parameters(centre_ + by, model);
  return model;
}

Matrix DeltaMethod::derivatives(const std::function<Vector(const MixtureModel&)>& f) const {
  Matrix result;
  for (Index j = 0; j < directions(); ++j) {
    const Vector up = f(moved(kStep * directions_.col(j)));
    const Vector down = f(moved(-kStep * directions_.col(j)));
    if (j == 0) result.resize(up.size(), directions());
    result.col(j) = (up - down) / (2 * kStep);
  }
  if (directions() == 0) result = Matrix::Zero(f(model_).size(), 0);
  return result;
}

Vector DeltaMethod::standard_errors(const std::function<Vector(const MixtureModel&)>& f) const {
  return derivatives(f).rowwise().norm();
}

MixtureModel DeltaMethod::draw(RandomStream& stream) const {
  Vector z(directions());
  for (Index j = 0; j < z.size(); ++j) z(j) = stream.normal();
  return moved(directions_ * z);
}

}  // namespace clearway
