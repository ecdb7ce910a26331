#include "clearway/stat/compare.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "compare_atoms.hpp"

namespace clearway {
namespace {

constexpr double kNoPair = 1e100;  // larger than any relative distance: experts of different kinds

double largest(const Matrix& cost, const std::vector<int>& order) {
  double value = 0.0;
  for (std::size_t i = 0; i < order.size(); ++i) value = std::max(value, cost(order[i], static_cast<Eigen::Index>(i)));
  return value;
}

double root_mean_square(const Matrix& difference) {
  return difference.size() == 0 ? std::numeric_limits<double>::quiet_NaN()
                                : std::sqrt(difference.squaredNorm() / static_cast<double>(difference.size()));
}

std::vector<ExpertKind> sorted_kinds(const MixtureModel& model) {
  std::vector<ExpertKind> kinds;
  for (const Expert& expert : model.experts) kinds.push_back(expert.spec().kind);
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

bool has_several_kinds(const MixtureModel& model) {
  const std::vector<ExpertKind> kinds = sorted_kinds(model);
  return kinds.front() != kinds.back();
}

void check_comparable(const MixtureModel& fitted, const MixtureModel& truth) {
  if (fitted.experts.empty() || truth.experts.empty()) user_error("both models must have at least 1 expert");
  for (const MixtureModel* model : {&fitted, &truth})
    for (const Expert& expert : model->experts) {
      const ExpertKind kind = expert.spec().kind;
      if (has_several_kinds(*model) && (kind == ExpertKind::constant || kind == ExpertKind::network))
        user_error("{} experts beside other kinds cannot be compared: they have other coefficients", enum_name(kind));
    }
  if ((has_several_kinds(fitted) || has_several_kinds(truth)) && fitted.expert_count() == truth.expert_count() &&
      sorted_kinds(fitted) != sorted_kinds(truth))
    user_error("models of several kinds of experts can be compared when they have as many experts of every kind");
  const Expert& a = fitted.experts.front();
  const Expert& b = truth.experts.front();
  if (a.inputs() != b.inputs())
    user_error("the models do not compare: {} and {} inputs of the experts", a.inputs(), b.inputs());
  if (a.responses() != b.responses() || a.classes() != b.classes())
    user_error("the models do not compare: {} and {} responses or {} and {} classes", a.responses(), b.responses(),
               a.classes(), b.classes());
}

void compare_gates(const MixtureModel& fitted, const MixtureModel& truth, const std::vector<int>& order,
                   Comparison& result) {
  const GateBlocks ours = gate_blocks(fitted.gate);
  const GateBlocks theirs = gate_blocks(truth.gate);
  if (fitted.gate.spec().kind != truth.gate.spec().kind || ours.slopes.cols() != theirs.slopes.cols()) {
    result.notes.push_back("The gates are of different kinds, so their coefficients do not compare.");
    return;
  }
  if (!ours.comparable) {
    result.notes.push_back("Gates of this kind have no unique coefficients to compare.");
    return;
  }
  Matrix slopes = reordered(ours.slopes, order);
  Matrix intercepts = reordered(ours.intercepts, order);
  Matrix true_slopes = theirs.slopes;
  Matrix true_intercepts = theirs.intercepts;
  for (Matrix* rows : {&slopes, &true_slopes})
    if (ours.slopes_relative) *rows = rows->rowwise() - Eigen::RowVectorXd(rows->row(rows->rows() - 1));
  for (Matrix* rows : {&intercepts, &true_intercepts})
    if (ours.intercepts_relative) *rows = rows->rowwise() - Eigen::RowVectorXd(rows->row(rows->rows() - 1));
  if (true_slopes.norm() > 0.0) result.gate_error = (slopes - true_slopes).norm() / true_slopes.norm();
  const Eigen::Index free = slopes.rows() - (ours.intercepts_relative && ours.slopes_relative ? 1 : 0);
  Matrix difference(free, slopes.cols() + 1);
  difference << (intercepts - true_intercepts).topRows(free), (slopes - true_slopes).topRows(free);
  result.gate_rmse = root_mean_square(difference);
}

void compare_in_order(const MixtureModel& fitted, const MixtureModel& truth, const Matrix& ours, const Matrix& theirs,
                      const Matrix& cost, Comparison& result) {
  const std::vector<int> order = bottleneck_assignment(cost);
  for (std::size_t i = 0; i < order.size(); ++i) {
    ExpertComparison& expert = result.experts[i];
    expert.fitted = order[i];
    expert.regressor = cost(order[i], static_cast<Eigen::Index>(i));
    const Expert& one = fitted.experts[static_cast<std::size_t>(order[i])];
    const Expert& other = truth.experts[i];
    if (one.has_sigma() && other.has_sigma()) {
      expert.sigma = one.sigma() - other.sigma();
      result.sigma_error = std::fmax(result.sigma_error, std::abs(expert.sigma));  // NaN gives way
    }
  }
  if (ours.cols() == theirs.cols()) {
    result.regressor_error = largest(cost, order);
    result.expert_rmse = root_mean_square(reordered(ours, order) - theirs);
  }
  compare_gates(fitted, truth, order, result);
}

}  // namespace

RecoveryErrors recovery_errors(const Matrix& regressors, const Matrix& gate, const Matrix& true_regressors,
                               const Matrix& true_gate, bool sign_free) {
  Matrix cost = relative_distances(regressors, true_regressors);
  if (sign_free) cost = cost.cwiseMin(relative_distances(-regressors, true_regressors));
  RecoveryErrors errors;
  errors.order = bottleneck_assignment(cost);
  errors.regressor = largest(cost, errors.order);
  if ((true_gate.rowwise() - true_gate.row(true_gate.rows() - 1)).norm() > 0.0)
    errors.gate = gate_error(gate, true_gate, errors.order);
  return errors;
}

Comparison compare(const MixtureModel& fitted, const MixtureModel& truth) {
  check_comparable(fitted, truth);
  Comparison result;
  result.fitted_experts = fitted.expert_count();
  result.true_experts = truth.expert_count();
  result.experts.resize(truth.experts.size());
  if (fitted.has_noise || truth.has_noise)
    result.noise_weight_error = std::abs(fitted.noise_weight - truth.noise_weight);

  const bool network = fitted.experts.front().spec().kind == ExpertKind::network ||
                       truth.experts.front().spec().kind == ExpertKind::network;
  if (network) {
    result.notes.push_back("Networks have no unique coefficients: compare predictions instead.");
    return result;
  }
  const Matrix ours = mean_coefficients(fitted.experts);
  const Matrix theirs = mean_coefficients(truth.experts);
  if (ours.cols() != theirs.cols()) {
    result.notes.push_back("The experts have different numbers of coefficients, so they do not compare one by one.");
    return result;
  }
  const bool several = has_several_kinds(fitted) || has_several_kinds(truth);
  if (several)
    result.notes.push_back("Experts are paired within their kind; Voronoi losses are for experts of one kind.");
  else
    compare_voronoi(fitted, truth, result);
  if (fitted.expert_count() != truth.expert_count()) {
    result.notes.push_back(
        several ? "The numbers of experts differ, so no permutation pairs them."
                : "The numbers of experts differ, so no permutation pairs them: see the Voronoi cells and losses.");
    return result;
  }
  const bool has_slopes = regressors(truth.experts).cols() > 0;
  Matrix cost = has_slopes ? relative_distances(regressors(fitted.experts), regressors(truth.experts))
                           : relative_distances(ours, theirs);
  if (several)
    for (Eigen::Index i = 0; i < cost.rows(); ++i)
      for (Eigen::Index j = 0; j < cost.cols(); ++j)
        if (fitted.experts[static_cast<std::size_t>(i)].spec().kind !=
            truth.experts[static_cast<std::size_t>(j)].spec().kind)
          cost(i, j) = kNoPair;
  compare_in_order(fitted, truth, ours, theirs, cost, result);
  return result;
}

}  // namespace clearway
