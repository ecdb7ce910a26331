#include "inference_sums.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "expert_updates.hpp"
#include "score_rows.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kAtFloor = 1e-6;      // relative distance of a noise level to its floor
constexpr int kMostParameters = 1000;  // of which an information matrix is made unasked

EngineSettings settings_for(const FitResult& result, const Scaling& scaling, int threads) {
  EngineSettings settings;
  settings.sigma_floor =
      result.sigma_floor * scaling.response_deviation.cwiseQuotient(scaling.response_scale).minCoeff();
  settings.threads = threads;
  return settings;
}

bool has_chart(const MixtureModel& model) {
  const Expert& first = model.experts.front();
  return first.responses() > 1 && is_parsimonious(first.spec().covariance);
}

// The model whose covariances are free (or freely diagonal), in the same parameters.
MixtureModel with_own_covariances(const MixtureModel& model) {
  if (!has_chart(model)) return model;
  MixtureModel own = model;
  for (Expert& expert : own.experts) {
    ExpertSpec spec = expert.spec();
    spec.covariance = is_diagonal(spec.covariance) ? CovarianceKind::diagonal : CovarianceKind::full;
    const Vector parameters = expert.parameters();
    expert = Expert(spec, expert.inputs(), expert.responses(), expert.classes());
    expert.parameters() = parameters;
  }
  return own;
}

// Where the covariance of an expert begins among its parameters.
Index covariance_offset(const Expert& expert) {
  return static_cast<Index>(expert.responses()) * (1 + slope_count(expert));
}

}  // namespace

InferenceSums::InferenceSums(const FitResult& result, const Scaling& scaling, StandardErrorKind kind, int threads)
    : result_(result),
      scaling_(scaling),
      kind_(kind),
      standard_(scaling.to_standard(result.model)),
      settings_(settings_for(result, scaling, threads)),
      map_(with_own_covariances(standard_), settings_),
      score_(Vector::Zero(map_.size)),
      information_(Matrix::Zero(map_.size, map_.size)),
      crossproduct_(Matrix::Zero(map_.size, map_.size)),
      shares_{Vector(), Matrix::Zero(0, model_parameters(result.model).size())} {
  if (has_chart(standard_) && !too_many_parameters()) reduce(settings_.sigma_floor);
}

void InferenceSums::reduce(double sigma_floor) {
  std::vector<Matrix> covariances;
  for (std::size_t k = 0; k < standard_.experts.size(); ++k) {
    covariances.push_back(standard_.experts[k].covariance());
    const double least = Eigen::SelfAdjointEigenSolver<Matrix>(covariances[k], Eigen::EigenvaluesOnly).eigenvalues()(0);
    if (std::sqrt(least) <= sigma_floor * (1 + kAtFloor)) at_floor_.push_back(static_cast<int>(k));
  }
  chart_.emplace(standard_.experts.front().spec().covariance, covariances);
  reduced_ = ParameterMap(standard_, settings_);
  reduced_.size += chart_->size();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  reduced_.lower.conservativeResize(reduced_.size);
  reduced_.lower.tail(chart_->size()).setConstant(at_floor_.empty() ? -kInfinity : 0.0);
  reduced_.upper.conservativeResize(reduced_.size);
  reduced_.upper.tail(chart_->size()).setConstant(kInfinity);
  reduced_.penalised.resize(static_cast<std::size_t>(reduced_.size), false);

  reduction_ = Matrix::Zero(map_.size, reduced_.size);
  const auto same = [&](const std::vector<int>& from, const std::vector<int>& to) {
    for (std::size_t i = 0; i < from.size(); ++i)
      if (from[i] >= 0 && to[i] >= 0) reduction_(to[i], from[i]) = 1;
  };
  same(reduced_.gate, map_.gate);
  same({reduced_.noise}, {map_.noise});
  for (std::size_t k = 0; k < standard_.experts.size(); ++k) {
    same(reduced_.experts[k], map_.experts[k]);
    const Matrix jacobian = chart_->jacobian(k);
    const Index begin = covariance_offset(standard_.experts[k]);
    for (Index c = 0; c < jacobian.rows(); ++c)
      reduction_.row(map_.experts[k][static_cast<std::size_t>(begin + c)]).tail(chart_->size()) = jacobian.row(c);
  }
}

Vector InferenceSums::score() const {
  return chart_ ? Vector(reduction_.transpose() * score_) : score_;
}

Matrix InferenceSums::information() const {
  if (!chart_) return information_;
  Matrix information = reduction_.transpose() * information_ * reduction_;
  for (std::size_t k = 0; k < standard_.experts.size(); ++k) {
    const Index begin = covariance_offset(standard_.experts[k]);
    Vector own(standard_.experts[k].parameters().size() - begin);
    for (Index c = 0; c < own.size(); ++c) own(c) = score_(map_.experts[k][static_cast<std::size_t>(begin + c)]);
    information.bottomRightCorner(chart_->size(), chart_->size()) -= chart_->curvature(k, own);
  }
  return information;
}

Matrix InferenceSums::crossproduct() const {
  return chart_ ? Matrix(reduction_.transpose() * crossproduct_ * reduction_) : crossproduct_;
}

Vector InferenceSums::free() const {
  Vector free = map().pack(standard_);
  if (chart_) free.tail(chart_->size()).setZero();
  return free;
}

Matrix InferenceSums::to_stacked() const {
  const Matrix stacked = stacked_from_free(standard_, map_, scaling_);
  return chart_ ? Matrix(stacked * reduction_) : stacked;
}

bool InferenceSums::too_many_parameters() const {
  return map_.size > kMostParameters;
}

void InferenceSums::add(const Data& rows, const std::vector<int>& clusters) {
  const bool first = total_weight_ == 0;
  const double weight = rows.weights.size() ? rows.weights.sum() : static_cast<double>(rows.rows());
  total_weight_ += weight;
  if (result_.model.gate.block_size() > 0 && result_.model.expert_count() > 1) {
    const Shares part = gate_shares(result_.model, rows, settings_.threads);
    if (first) shares_ = {Vector::Zero(part.values.size()), Matrix::Zero(part.jacobian.rows(), part.jacobian.cols())};
    shares_.values += weight * part.values;
    shares_.jacobian += weight * part.jacobian;
  }
  if (too_many_parameters()) return;
  const auto engine = make_engine(rows, scaling_, with_own_covariances(standard_), settings_);
  Vector score;
  Matrix information;
  engine->derivatives(standard_, score, &information);
  score_ += score;
  information_ += information;
  const Matrix responsibilities = result_.model.responsibilities(rows);
  if (kind_ != StandardErrorKind::observed)
    crossproduct_ +=
        score_crossproduct(rows, scaling_, standard_, map_, responsibilities,
                           kind_ == StandardErrorKind::cluster ? clusters : std::vector<int>{}, settings_.threads);
  if (first) {
    first_weight_ = weight;
    merges_ = merge_losses(rows, scaling_, standard_, responsibilities, settings_.sigma_floor);
  }
}

Shares InferenceSums::shares() const {
  Shares shares = shares_;
  shares.values /= total_weight_;
  shares.jacobian /= total_weight_;
  return shares;
}

std::vector<MergeLoss> InferenceSums::merges() const {
  if (total_weight_ == first_weight_) return merges_;
  std::vector<MergeLoss> merges = merges_;
  for (MergeLoss& merge : merges) {
    merge.loss *= total_weight_ / first_weight_;
    merge.charge *= std::log(std::max(2.0, total_weight_)) / std::log(std::max(2.0, first_weight_));
  }
  return merges;
}

}  // namespace clearway::detail
