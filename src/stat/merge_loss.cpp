#include "merge_loss.hpp"

#include <cmath>
#include <unordered_map>

#include "expert_updates.hpp"
#include "parsimonious_covariance.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;
constexpr double kAffordable = 2e7;  // rows times pairs
constexpr int kExpertSteps = 10;

// log of the sum of exp over a row.
double log_sum(const Eigen::RowVectorXd& row) {
  const double top = row.maxCoeff();
  return std::isfinite(top) ? top + std::log((row.array() - top).exp().sum()) : top;
}

// Log-likelihood of rows (or groups of rows, whose densities multiply) from gate and density parts, n x k each.
class Likelihood {
 public:
  Likelihood(const Data& data, const MixtureModel& model) : data_(data), model_(model) {
    const Index n = data.rows();
    std::unordered_map<int, Index> number;
    for (Index t = 0; t < n && !data.groups.empty(); ++t) {
      const auto next = static_cast<Index>(number.size());
      const auto [found, fresh] = number.try_emplace(data.groups[static_cast<std::size_t>(t)], next);
      unit_of_.push_back(found->second);
      if (fresh) first_.push_back(t);
    }
  }

  double units() const {
    if (data_.groups.empty()) return data_.weights.size() ? data_.weights.sum() : static_cast<double>(data_.rows());
    double sum = 0;
    for (const Index t : first_) sum += weight(t);
    return sum;
  }

  double operator()(const Matrix& gate, const Matrix& density) const {
    Matrix joint = gate + density;
    if (!unit_of_.empty()) {
      joint.resize(static_cast<Index>(first_.size()), gate.cols());
      for (std::size_t u = 0; u < first_.size(); ++u) joint.row(static_cast<Index>(u)) = gate.row(first_[u]);
      for (std::size_t t = 0; t < unit_of_.size(); ++t) joint.row(unit_of_[t]) += density.row(static_cast<Index>(t));
    }
    const double noise = model_.has_noise ? std::log(model_.noise_weight) + model_.noise_log_density : 0;
    const double kept = model_.has_noise ? std::log1p(-model_.noise_weight) : 0;
    double total = 0;
    for (Index u = 0; u < joint.rows(); ++u) {
      double value = log_sum(joint.row(u)) + kept;
      if (model_.has_noise) value = std::max(value, noise) + std::log1p(std::exp(-std::abs(value - noise)));
      total += weight(unit_of_.empty() ? u : first_[static_cast<std::size_t>(u)]) * value;
    }
    return total;
  }

 private:
  double weight(Index t) const { return data_.weights.size() ? data_.weights(t) : 1.0; }

  const Data& data_;
  const MixtureModel& model_;
  std::vector<Index> unit_of_, first_;
};

std::vector<std::pair<int, int>> candidates(const Matrix& responsibilities, int k) {
  std::vector<std::pair<int, int>> pairs;
  const double all = 0.5 * k * (k - 1) * static_cast<double>(responsibilities.rows());
  for (int i = 0; i < k; ++i) {
    if (all <= kAffordable) {
      for (int j = i + 1; j < k; ++j) pairs.emplace_back(i, j);
      continue;
    }
    Vector overlap = responsibilities.leftCols(k).transpose() * responsibilities.col(i);
    overlap(i) = -1;
    Index partner = 0;
    overlap.maxCoeff(&partner);
    pairs.emplace_back(i, static_cast<int>(partner));
  }
  return pairs;
}

Matrix without_column(const Matrix& a, Index column) {
  Matrix result(a.rows(), a.cols() - 1);
  result.leftCols(column) = a.leftCols(column);
  result.rightCols(a.cols() - 1 - column) = a.rightCols(a.cols() - 1 - column);
  return result;
}

// Covariances that experts have in common change with the merged one: an M-step for all of them.
class CommonCovariances {
 public:
  CommonCovariances(const MixtureModel& standard, const std::vector<Data>& block, const Matrix& responsibilities,
                    double sigma_floor)
      : kind_(standard.experts.front().spec().covariance), before_(standard.experts), sigma_floor_(sigma_floor) {
    if (before_.front().responses() == 1 || !is_parsimonious(kind_)) return;
    Matrix r = responsibilities.leftCols(standard.expert_count());
    if (block.front().weights.size()) r = block.front().weights.asDiagonal() * r;
    mass_ = r.colwise().sum().transpose();
    own_ = before_;
    for (std::size_t j = 0; j < own_.size(); ++j)
      update_expert(own_[j], block, r.col(static_cast<Index>(j)), sigma_floor, kExpertSteps);
  }

  bool apply() const { return !own_.empty(); }

  // Parameters that one expert fewer does without, of the covariances.
  int freed() const {
    const auto k = static_cast<int>(before_.size());
    const int m = before_.front().responses();
    return covariance_parameters(kind_, k, m) - covariance_parameters(kind_, k - 1, m);
  }

  // The experts, one for every column but `second`; `merged` has its own covariance and stands for `first`.
  std::vector<Expert> without(std::size_t first, std::size_t second, const Expert& merged) const {
    std::vector<Expert> experts = own_;
    Vector mass = mass_;
    experts[first] = merged;
    mass(static_cast<Index>(first)) += mass(static_cast<Index>(second));
    mass(static_cast<Index>(second)) = 0;
    pool_covariances(before_, mass, sigma_floor_, experts);
    return experts;
  }

 private:
  CovarianceKind kind_;
  std::vector<Expert> before_, own_;
  Vector mass_;
  double sigma_floor_;
};

}  // namespace

std::vector<MergeLoss> merge_losses(const Data& data, const Scaling& scaling, const MixtureModel& standard,
                                    const Matrix& responsibilities, double sigma_floor) {
  const int k = standard.expert_count();
  std::vector<MergeLoss> losses;
  if (k < 2 || !data.labels.empty()) return losses;
  const std::vector<Data> block = {scaling.standardised(data, 0, data.rows())};
  const Data& rows = block.front();
  const Likelihood likelihood(rows, standard);
  const Matrix gate = standard.gate.log_weights(rows.gate_inputs);
  Matrix density(rows.rows(), k);
  for (int j = 0; j < k; ++j) density.col(j) = standard.experts[static_cast<std::size_t>(j)].log_density(rows);
  const double full = likelihood(gate, density);
  const CommonCovariances common(standard, block, responsibilities, sigma_floor);
  for (const auto& [i, j] : candidates(responsibilities, k)) {
    const Expert& first = standard.experts[static_cast<std::size_t>(i)];
    const Expert& second = standard.experts[static_cast<std::size_t>(j)];
    if (first.spec().kind != second.spec().kind || first.parameters().size() != second.parameters().size()) continue;
    Vector both = responsibilities.col(i) + responsibilities.col(j);
    if (rows.weights.size()) both.array() *= rows.weights.array();
    const bool larger = responsibilities.col(i).sum() >= responsibilities.col(j).sum();
    Expert merged = larger ? first : second;
    update_expert(merged, block, both, sigma_floor, kExpertSteps);
    Matrix merged_gate = gate, merged_density = density;
    const Vector high = gate.col(i).cwiseMax(gate.col(j)), low = gate.col(i).cwiseMin(gate.col(j));
    merged_gate.col(i) = high.array() + (low - high).array().exp().log1p();
    merged_density.col(i) = merged.log_density(rows);
    double own = first.degrees_of_freedom();
    if (common.apply()) {
      const auto experts = common.without(static_cast<std::size_t>(i), static_cast<std::size_t>(j), merged);
      for (int l = 0; l < k; ++l)
        if (l != j) merged_density.col(l) = experts[static_cast<std::size_t>(l)].log_density(rows);
      own = first.responses() * (1.0 + slope_count(first)) + common.freed();
    }
    const double value = likelihood(without_column(merged_gate, j), without_column(merged_density, j));
    const double freed = own + standard.gate.degrees_of_freedom() / (k - 1.0);
    losses.push_back({i, j, full - value, 0.5 * freed * std::log(std::max(2.0, likelihood.units()))});
  }
  return losses;
}

}  // namespace clearway::detail
