#include "local_likelihood.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "score_rows.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kBoundSlack = 1e-9;

}  // namespace

LocalLikelihood::LocalLikelihood(const Data& data, const MixtureModel& model, const FitOptions& options)
    : scaling_(data, model) {
  data.check(model.experts.front().spec().kind);
  const EngineSettings settings{
      .sigma_floor =
          options.sigma_floor * (scaling_.response_deviation.cwiseQuotient(scaling_.response_scale)).minCoeff(),
      .gate_ridge = options.gate_ridge,
      .threads = 1};
  model_ = scaling_.to_standard(model);
  model_.gate.pin();
  engine_ = make_engine(data, scaling_, model_, settings);
  free_ = engine_->map().pack(model_);
  objective_ = engine_->derivatives(model_, score_, &information_);
  const ParameterMap& map = engine_->map();
  for (Index i = 0; i < map.size; ++i)
    if (free_(i) > map.lower(i) + kBoundSlack && free_(i) < map.upper(i) - kBoundSlack) active_.push_back(i);
  invert();
}

double LocalLikelihood::mean_score() const {
  double largest = 0;
  for (const Index i : active_) largest = std::max(largest, std::abs(score_(i)));
  return largest / engine_->total_weight();
}

void LocalLikelihood::invert() {
  covariance_ = Matrix::Zero(free_.size(), free_.size());
  const auto size = static_cast<Index>(active_.size());
  if (size == 0) return;
  const Matrix h = information_(active_, active_);
  const Vector scale = h.diagonal().cwiseAbs().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scale.asDiagonal() * h * scale.asDiagonal());
  const Vector& values = eigen.eigenvalues();
  least_eigenvalue_ = values(0);
  condition_ = values(size - 1) / std::max(values(0), 1e-300);
  constexpr double kSingular = 1e-12;
  const Vector inverse = (values.array() > kSingular).select(values.array().max(kSingular).inverse(), 0.0);
  const Matrix half = scale.asDiagonal() * eigen.eigenvectors() * inverse.cwiseSqrt().asDiagonal();
  const Matrix active_covariance = half * half.transpose();
  covariance_(active_, active_) = active_covariance;
}

Matrix LocalLikelihood::row_scores(const Data& data) const {
  const Data working = scaling_.standardised(data, 0, data.rows());
  Matrix rows = score_rows(model_, engine_->map(), working, model_.responsibilities(working),
                           working.groups.empty() ? Vector() : first_of_group(working.groups));
  if (working.weights.size()) rows = working.weights.asDiagonal() * rows;
  return rows;
}

MixtureModel LocalLikelihood::raw_model(const Vector& free) const {
  MixtureModel moved = model_;
  engine_->map().unpack(free, moved);
  return scaling_.to_raw(moved);
}

Matrix LocalLikelihood::jacobian(const std::function<Vector(const MixtureModel&)>& f) const {
  Matrix result;
  for (Index i = 0; i < free_.size(); ++i) {
    // The cube root of the machine precision balances truncation and rounding of a central difference.
    const double h = 6e-6 * std::max(1.0, std::abs(free_(i)));
    Vector up = free_, down = free_;
    up(i) += h;
    down(i) -= h;
    const Vector column = (f(raw_model(up)) - f(raw_model(down))) / (up(i) - down(i));
    if (i == 0) result.resize(column.size(), free_.size());
    result.col(i) = column;
  }
  return result;
}

}  // namespace clearway::detail
