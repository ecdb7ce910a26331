#include "local_likelihood.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "clearway/base/errors.hpp"
#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kBoundSlack = 1e-9;
constexpr double kLargestLogRatio = 700;  // exp() of more overflows

// 1 for the first row of a group, 0 for the others: the gate speaks once per group.
Vector once_per_group(const std::vector<int>& groups, Index rows) {
  Vector once = Vector::Ones(rows);
  std::unordered_set<int> seen;
  for (std::size_t t = 0; t < groups.size(); ++t)
    if (!seen.insert(groups[t]).second) once(static_cast<Index>(t)) = 0;
  return once;
}

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
  const ParameterMap& map = engine_->map();
  const Index n = working.rows();
  const int k = model_.expert_count();
  const Matrix r = model_.responsibilities(working);
  Matrix rows = Matrix::Zero(n, map.size);
  for (int j = 0; j < k; ++j) {
    const auto at = static_cast<std::size_t>(j);
    const Matrix own = expert_score_rows(model_.experts[at], working);
    for (Index c = 0; c < own.cols(); ++c) {
      const int f = map.experts[at][static_cast<std::size_t>(c)];
      if (f >= 0) rows.col(f) += r.col(j).cwiseProduct(own.col(c));
    }
  }
  const Vector once = once_per_group(working.groups, n);
  if (model_.gate.parameters().size() > 0) {
    // d log p / d gate = sum_k (r_k / w_k) d w_k, over the weights among the experts.
    const Matrix log_ratio = r.leftCols(k).array().log() - model_.gate.log_weights(working.gate_inputs).array();
    const Matrix ratio = (r.leftCols(k).array() > 0).select(log_ratio.array().min(kLargestLogRatio).exp(), 0.0);
    const Matrix gate = model_.gate.combination_jacobian(working.gate_inputs, ratio);
    for (Index c = 0; c < gate.cols(); ++c) {
      const int f = map.gate[static_cast<std::size_t>(c)];
      if (f >= 0) rows.col(f) += gate.col(c).cwiseProduct(once);
    }
  }
  if (model_.has_noise && map.noise >= 0) rows.col(map.noise) = r.col(k).array() - model_.noise_weight;
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
