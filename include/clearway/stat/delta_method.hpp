// Uncertainty of anything that is computed from a fitted model, by the delta method.
//
// The covariance V of the parameters is split into directions l_j with V = sum_j l_j l_j'. The variance of f(theta) is
// sum_j (d f / d l_j)^2, each derivative a central difference along the direction: steps are a thousandth of a standard
// error and move correlated parameters together, so that intercepts far from the data cost no accuracy. The same
// derivatives give simultaneous bands: f deviates by sum_j (d f / d l_j) Z_j with independent standard normals Z_j.
#pragma once

#include <functional>

#include "clearway/base/random.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

class DeltaMethod {
 public:
  /// `covariance` is that of model_parameters(model) (Inference::model_covariance).
  DeltaMethod(const MixtureModel& model, const Matrix& covariance);

  /// Number of directions: the rank of the covariance.
  Eigen::Index directions() const { return directions_.cols(); }
  /// d f / d direction: values of f x directions().
  Matrix derivatives(const std::function<Vector(const MixtureModel&)>& f) const;
  /// Standard errors of the values of f.
  Vector standard_errors(const std::function<Vector(const MixtureModel&)>& f) const;
  /// A model drawn from the asymptotic normal distribution of the estimate.
  MixtureModel draw(RandomStream& stream) const;

 private:
  MixtureModel moved(const Vector& by) const;

  MixtureModel model_;
  Vector centre_;
  Matrix directions_;  // parameters x rank
};

}  // namespace clearway
