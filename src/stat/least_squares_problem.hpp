// One least-squares problem on the working scale: sums of squares, the exact solution in the linear parameters, and an
// orthogonal factor of the Jacobian.
//
// The rows are taken block by block: every block joins the triangular factor of those before it by a QR decomposition,
// so that memory stays small and nothing is squared (normal equations would lose half of the digits, which over-specified
// models need). Chunks of blocks have a fixed size and are joined in order: the same bits for any number of threads.
#pragma once

#include <functional>
#include <vector>

#include "clearway/stat/least_squares.hpp"
#include "scaling.hpp"

namespace clearway::detail {

/// Singular values of unit columns below this share of the largest count as zero among the linear parameters: beyond it
/// coefficients of opposite sign could grow above 1e8 and f would lose its digits.
inline constexpr double kLinearlyDependent = 1e-8;
/// Columns of the Jacobian shorter than this per root of the weight (working scale) carry no information: an expert whose
/// weight is nowhere above 1e-7 keeps its coefficients.
inline constexpr double kNoInfluence = 1e-7;

class LeastSquaresProblem {
 public:
  /// Keeps its own copy of the data on the working scale. `prototype` has the shape of every model that comes later.
  LeastSquaresProblem(const Data& data, const Scaling& scaling, const MixtureModel& prototype, int threads);

  /// The free parameters, the linear ones first.
  const std::vector<RegressionParameter>& parameters() const { return parameters_; }
  Eigen::Index linear_count() const { return linear_; }
  Eigen::Index nonlinear_count() const { return static_cast<Eigen::Index>(parameters_.size()) - linear_; }
  double total_weight() const { return total_weight_; }
  /// Ridge penalties: gate_ridge * sum of squares of gate parameters other than intercepts, and expert_ridge * the same of
  /// all parameters of experts, join the sum of squares.
  void set_ridge(double gate_ridge, double expert_ridge = 0) {
    ridge_ = gate_ridge;
    expert_ridge_ = expert_ridge;
  }
  double ridge() const { return ridge_; }
  /// The ridge term at a model.
  double penalty(const MixtureModel& model) const;

  /// The nonlinear parameters of a model, and the inverse (an estimated log temperature is kept within bounds).
  Vector nonlinear(const MixtureModel& model) const;
  void set_nonlinear(const Vector& values, MixtureModel& model) const;

  /// Sum over rows and responses of weight * residual^2, plus the ridge term.
  double sum_of_squares(const MixtureModel& model) const;
  /// Sets the linear parameters to their best values (of many, the nearest to the present ones) and returns the sum of
  /// squares.
  double solve_linear(MixtureModel& model) const;
  /// Upper triangular R of [linear columns, nonlinear columns, residual], rows scaled by the root of their weight, ridge
  /// rows included: (p + 1) x (p + 1). The norm of the last column is the root of sum_of_squares().
  Matrix factor(const MixtureModel& model) const;
  /// Weighted sum of squared residuals and cross products of the responses, without the ridge term: m x m.
  Matrix residual_products(const MixtureModel& model) const;

 private:
  using Fill = std::function<void(const Data& block, int response, Eigen::Ref<Matrix> rows)>;
  Matrix accumulate(Eigen::Index columns, const Fill& fill, const Matrix& extra_rows) const;
  Matrix ridge_rows(const MixtureModel& model) const;

  std::vector<Data> blocks_;
  std::vector<RegressionParameter> parameters_, linear_parameters_;
  Eigen::Index linear_ = 0;
  std::vector<bool> ridged_;           ///< by parameter: whether the ridge of the gate takes it
  Eigen::Index log_temperature_ = -1;  ///< which nonlinear parameter it is, or none
  int responses_ = 1;
  int threads_;
  double total_weight_ = 0;
  double ridge_ = 0;
  double expert_ridge_ = 0;
};

}  // namespace clearway::detail
