#include "inference_sums.hpp"

#include <algorithm>
#include <cmath>

#include "score_rows.hpp"

namespace clearway::detail {
namespace {

constexpr int kMostParameters = 1000;  // of which an information matrix is made unasked

EngineSettings settings_for(const FitResult& result, const Scaling& scaling, int threads) {
  EngineSettings settings;
  settings.sigma_floor =
      result.sigma_floor * scaling.response_deviation.cwiseQuotient(scaling.response_scale).minCoeff();
  settings.threads = threads;
  return settings;
}

}  // namespace

InferenceSums::InferenceSums(const FitResult& result, const Scaling& scaling, StandardErrorKind kind, int threads)
    : result_(result),
      scaling_(scaling),
      kind_(kind),
      standard_(scaling.to_standard(result.model)),
      settings_(settings_for(result, scaling, threads)),
      map_(standard_, settings_),
      score_(Vector::Zero(map_.size)),
      information_(Matrix::Zero(map_.size, map_.size)),
      crossproduct_(Matrix::Zero(map_.size, map_.size)),
      shares_{Vector(), Matrix::Zero(0, model_parameters(result.model).size())} {}

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
  const auto engine = make_engine(rows, scaling_, standard_, settings_);
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
