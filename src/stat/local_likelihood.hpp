// The likelihood around an estimate: score of every row, information, covariance, and how any function of the model
// moves with its parameters. What influence, intervals and checks of an optimum share.
//
// All of it lives on the working scale (scaling.hpp), on which the information is well conditioned.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "clearway/stat/fit.hpp"
#include "em_engine.hpp"

namespace clearway::detail {

class LocalLikelihood {
 public:
  /// `model` is on the scale of the data, usually an optimum of the likelihood of `data`; of the options count the noise
  /// floor and the ridge. Throws std::invalid_argument where data and model do not fit.
  LocalLikelihood(const Data& data, const MixtureModel& model, const FitOptions& options);

  EmEngine& engine() const { return *engine_; }
  const Scaling& scaling() const { return scaling_; }
  /// The model on the working scale, and its free parameters (p).
  const MixtureModel& model() const { return model_; }
  const Vector& free() const { return free_; }
  /// Penalised log-likelihood, its gradient (p) and minus its Hessian (p x p).
  double objective() const { return objective_; }
  const Vector& score() const { return score_; }
  const Matrix& information() const { return information_; }
  /// Largest mean score of the parameters that are not at a bound.
  double mean_score() const;
  /// Free parameters that are not at a bound: those that inference is about.
  const std::vector<Eigen::Index>& active() const { return active_; }

  /// Inverse of the information of the active parameters (p x p, 0 elsewhere; pseudo-inverse where it is singular).
  const Matrix& covariance() const { return covariance_; }
  /// Least eigenvalue of the information scaled to unit diagonal, and its condition number.
  double least_eigenvalue() const { return least_eigenvalue_; }
  double condition() const { return condition_; }
  /// No maximum of full rank: standard errors and one-step deletions mean nothing in some direction.
  bool flat() const { return !(least_eigenvalue_ > 1e-9); }

  /// d log p(y_t | x_t) / d free, every row times its case weight: n x p. `data` has the columns of the constructor's.
  /// Rows of a group share the group's memberships, and its first row carries the gate's part: they add up to the score
  /// of the group.
  Matrix row_scores(const Data& data) const;
  /// The model on the scale of the data at other free parameters.
  MixtureModel raw_model(const Vector& free) const;
  /// d f / d free by central differences, f of a model on the scale of the data: size of f x p.
  Matrix jacobian(const std::function<Vector(const MixtureModel&)>& f) const;

 private:
  void invert();

  Scaling scaling_;
  std::unique_ptr<EmEngine> engine_;
  MixtureModel model_;
  Vector free_, score_;
  Matrix information_, covariance_;
  std::vector<Eigen::Index> active_;
  double objective_ = 0, least_eigenvalue_ = 0, condition_ = 0;
};

}  // namespace clearway::detail
