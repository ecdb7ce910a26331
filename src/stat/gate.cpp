#include "clearway/stat/gate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/core/gates/hierarchical.hpp"
#include "gate_scores.hpp"

namespace clearway {
namespace {

using Array2 = Eigen::ArrayXXd;
using Eigen::Index;

void check_top_k(const GateSpec& spec, int experts) {
  if (spec.top_k == 0) return;
  if (spec.top_k < 0 || spec.top_k > experts)
    user_error("top-k must be between 0 and the number of experts ({}), not {}", experts, spec.top_k);
  if (!gate_reads_inputs(spec.kind))
    user_error("top-k needs a gate that reads inputs, not '{}': it would select the same experts everywhere",
               enum_name(spec.kind));
  if (spec.kind == GateKind::hierarchical && spec.top_k_rule == TopKRule::slopes)
    user_error("top-k-rule 'slopes' needs scores with an intercept, which gate 'hierarchical' does not have");
}

void check_weights(const GateSpec& spec, int experts) {
  if (spec.kind != GateKind::fixed) return;
  if (static_cast<int>(spec.weights.size()) != experts)
    user_error("gate-weights must hold one number per expert: {} for {} experts", spec.weights.size(), experts);
  for (const double weight : spec.weights)
    if (!(weight > 0) || !std::isfinite(weight)) user_error("gate-weights must be positive numbers, not {}", weight);
}

void check_groups(const GateSpec& spec, int experts) {
  if (spec.kind != GateKind::hierarchical) return;
  if (spec.groups < 1) user_error("groups must be at least 1, not {}", spec.groups);
  if (experts > 1 && spec.groups > experts)
    user_error("groups must be at most the number of experts ({}), not {}", experts, spec.groups);
}

void normalise_log_rows(Matrix& t) {
  const Vector top = t.rowwise().maxCoeff();
  t.colwise() -= top;
  const Vector lse = t.array().exp().rowwise().sum().log();
  t.colwise() -= lse;
}

}  // namespace

Gate::Gate(GateSpec spec, int inputs, int experts)
    : spec_(std::move(spec)),
      inputs_(inputs),
      experts_(experts),
      block_size_(0),
      input_centre_(Vector::Zero(std::max(0, inputs))),
      input_scale_(Vector::Ones(std::max(0, inputs))) {
  if (experts < 1) user_error("a gate needs at least 1 expert, not {}", experts);
  if (inputs < 0) user_error("a gate cannot have {} inputs", inputs);
  if (!(spec_.temperature > 0)) user_error("gate temperature must be positive, not {}", spec_.temperature);
  if (spec_.kind == GateKind::quadratic && spec_.shape == QuadraticShape::low_rank && spec_.rank < 1)
    user_error("quadratic rank must be at least 1, not {}", spec_.rank);
  if (!(spec_.perturbation >= 0)) user_error("cosine-perturbation must be at least 0, not {}", spec_.perturbation);
  if (experts == 1) {  // one expert has all the weight, whatever is asked of several
    spec_.top_k = std::min(spec_.top_k, 1);
    if (spec_.kind == GateKind::fixed) spec_.weights = {1.0};
  }
  check_top_k(spec_, experts);
  check_weights(spec_, experts);
  check_groups(spec_, experts);
  block_size_ = family(block_kind()).block_size();
  if (spec_.kind == GateKind::hierarchical) {
    groups_ = std::min(spec_.groups, experts);
    for (int k = 0; k < experts; ++k) group_of_.push_back(k * groups_ / experts);
    shared_size_ = groups_ * family(group_kind()).block_size();
  }
  if (estimates_temperature()) shared_size_ = 1;
  parameters_ = Vector::Zero(shared_begin() + shared_size_);
  if (estimates_temperature()) parameters_(parameters_.size() - 1) = std::log(spec_.temperature);
}

// Kind of the blocks of the experts: the inner gate of a hierarchical one.
GateKind Gate::block_kind() const {
  if (spec_.kind != GateKind::hierarchical) return spec_.kind;
  return spec_.inner == LevelKind::softmax ? GateKind::softmax : GateKind::laplace;
}

GateKind Gate::group_kind() const {
  return spec_.outer == LevelKind::softmax ? GateKind::softmax : GateKind::laplace;
}

detail::ScoreFamily Gate::family(GateKind kind) const {
  detail::ScoreFamily result{.spec = spec_, .inputs = inputs_};
  result.spec.kind = kind;
  if (estimates_temperature() && parameters_.size() > 0) result.spec.temperature = temperature();
  result.distance_scale = keeps_units() ? Vector(Vector::Ones(inputs_)) : input_scale_;
  return result;
}

bool Gate::estimates_temperature() const {
  if (!spec_.estimate_temperature) return false;
  return spec_.kind == GateKind::activated || (spec_.kind == GateKind::cosine && spec_.perturbation == 0);
}

double Gate::temperature() const {
  return estimates_temperature() ? std::exp(parameters_(parameters_.size() - 1)) : spec_.temperature;
}

Gate Gate::dense() const {
  Gate result = *this;
  result.spec_.top_k = 0;
  return result;
}

Eigen::Map<const Vector> Gate::group_block(int group) const {
  const Index size = shared_size_ / groups_;
  return {parameters_.data() + shared_begin() + group * size, size};
}

Eigen::Map<Vector> Gate::group_block(int group) {
  const Index size = shared_size_ / groups_;
  return {parameters_.data() + shared_begin() + group * size, size};
}

Matrix Gate::group_blocks() const {
  return Eigen::Map<const Matrix>(parameters_.data() + shared_begin(), shared_size_ / groups_, groups_);
}

void Gate::set_group_of(const std::vector<int>& group_of) {
  if (spec_.kind != GateKind::hierarchical) user_error("only a hierarchical gate has groups");
  if (static_cast<int>(group_of.size()) != experts_)
    user_error("the groups of a gate need {} numbers, one for each expert, not {}", experts_, group_of.size());
  int seen = 0;
  for (const int group : group_of) {
    if (group < 0 || group > seen)
      user_error("the groups of a gate must be numbered in the order of their first expert, not {}", group);
    seen = std::max(seen, group + 1);
  }
  if (seen != groups_) user_error("the gate has {} groups, not {}", groups_, seen);
  group_of_ = group_of;
}

bool Gate::last_of_group(int expert) const {
  const int group = group_of_[static_cast<std::size_t>(expert)];
  for (int k = expert + 1; k < experts_; ++k)
    if (group_of_[static_cast<std::size_t>(k)] == group) return false;
  return true;
}

int Gate::group_size(int group) const {
  return static_cast<int>(std::count(group_of_.begin(), group_of_.end(), group));
}

bool Gate::pinned(Index i) const {
  const bool hierarchical = spec_.kind == GateKind::hierarchical;
  if (i >= shared_begin()) {
    if (!hierarchical) return false;  // the log temperature
    const Index size = shared_size_ / groups_;
    const Index group = (i - shared_begin()) / size, offset = (i - shared_begin()) % size;
    return groups_ == 1 || (group == groups_ - 1 && offset < family(group_kind()).free_shift());
  }
  const auto expert = static_cast<int>(i / block_size_);
  const Index offset = i % block_size_;
  if (experts_ == 1) return sums_to_one();
  if (hierarchical) {
    if (group_size(group_of_[static_cast<std::size_t>(expert)]) == 1) return true;
    return last_of_group(expert) && offset < family(block_kind()).free_shift();
  }
  // Selected by slopes alone, one expert has all the weight whatever its intercept.
  if (spec_.top_k == 1 && spec_.top_k_rule == TopKRule::slopes && offset == 0) return true;
  return expert == experts_ - 1 && offset < family(spec_.kind).free_shift();
}

bool Gate::unpenalised(Index i) const {
  if (i < shared_begin()) return i % block_size_ == 0;
  if (is_log_temperature(i)) return true;
  return (i - shared_begin()) % (shared_size_ / groups_) == 0;
}

int Gate::degrees_of_freedom() const {
  if (spec_.kind == GateKind::hierarchical) {
    int df = family(group_kind()).degrees_of_freedom(groups_);
    for (int g = 0; g < groups_; ++g) df += family(block_kind()).degrees_of_freedom(group_size(g));
    return df;
  }
  int df = family(spec_.kind).degrees_of_freedom(experts_);
  if (experts_ == 1) return df;
  if (spec_.top_k == 1 && is_linear()) {  // the selection knows no common factor of the scores, by slopes no intercept
    df -= 1;
    if (spec_.top_k_rule == TopKRule::slopes) df -= experts_ - 1;
  }
  return df;
}

Matrix Gate::scores(const ConstMatrixRef& x) const {
  if (x.cols() != inputs_) user_error("the gate was made for {} inputs, not {}", inputs_, x.cols());
  if (spec_.kind == GateKind::equal) return Matrix::Zero(x.rows(), experts_);
  if (spec_.kind == GateKind::fixed) {
    const auto weights = Eigen::Map<const Vector>(spec_.weights.data(), experts_);
    return (weights / weights.sum()).array().log().matrix().transpose().replicate(x.rows(), 1);
  }
  const Eigen::Map<const Matrix> blocks(parameters_.data(), block_size_, experts_);
  const Matrix z = seen(x);
  const Matrix t = family(block_kind()).scores(z, blocks);
  if (spec_.kind != GateKind::hierarchical) return t;
  const Matrix between = family(group_kind()).scores(z, group_blocks());
  return hierarchical_log_weights(Array2(between), Array2(t), group_of_).matrix();
}

// What top-k selects by.
Matrix Gate::selection(const ConstMatrixRef& x, const Matrix& scores) const {
  if (spec_.top_k_rule == TopKRule::score) return scores;
  Gate without = dense();
  for (int k = 0; k < experts_; ++k) without.block(k)(0) = 0;
  return without.scores(x);
}

Matrix Gate::log_weights(const ConstMatrixRef& x) const {
  Matrix t = scores(x);
  if (!sums_to_one()) return t;
  if (!is_smooth())
    return top_k_log_weights(Array2(t), Array2(selection(x, t)), static_cast<std::ptrdiff_t>(spec_.top_k)).matrix();
  normalise_log_rows(t);
  return t;
}

bool Gate::is_linear() const {
  return family(spec_.kind).is_linear();
}

Matrix Gate::features(const ConstMatrixRef& x) const {
  return family(spec_.kind).features(seen(x));
}

Matrix Gate::score_jacobian(const ConstMatrixRef& x, int expert) const {
  if (!has_own_scores()) throw std::logic_error("the scores of this gate depend on more than one block");
  return family(spec_.kind).jacobian(seen(x), Vector(block(expert)));
}

std::vector<GateLevel> Gate::levels(const ConstMatrixRef& x) const {
  std::vector<GateLevel> result;
  if (parameters_.size() == 0) return result;
  const Matrix z = seen(x);
  // Members of one level with the blocks of their scores.
  const auto add = [&](const detail::ScoreFamily& scores, const Matrix& blocks, const std::vector<Index>& begins,
                       std::vector<std::vector<int>> below) {
    GateLevel level{.experts = std::move(below), .log_weights = scores.scores(z, blocks)};
    level.normalised = sums_to_one();
    const Matrix t = level.log_weights;
    if (level.normalised) normalise_log_rows(level.log_weights);
    const Index extra = estimates_temperature() ? 1 : 0;
    for (Index m = 0; m < blocks.cols(); ++m) {
      std::vector<Index> where;
      for (Index c = 0; c < blocks.rows(); ++c) where.push_back(begins[static_cast<std::size_t>(m)] + c);
      if (extra) where.push_back(parameters_.size() - 1);
      level.parameters.push_back(std::move(where));
      if (m > 0 && scores.is_linear()) continue;  // one matrix of features for all members
      Matrix jacobian(z.rows(), blocks.rows() + extra);
      jacobian.leftCols(blocks.rows()) = scores.jacobian(z, Vector(blocks.col(m)));
      if (extra) jacobian.rightCols(1) = scores.temperature_derivative(Vector(t.col(m)), blocks(0, m));
      level.jacobians.push_back(std::move(jacobian));
    }
    result.push_back(std::move(level));
  };
  const auto add_experts = [&](const std::vector<int>& members) {
    Matrix blocks(block_size_, static_cast<Index>(members.size()));
    std::vector<Index> begins;
    std::vector<std::vector<int>> below;
    for (std::size_t m = 0; m < members.size(); ++m) {
      blocks.col(static_cast<Index>(m)) = block(members[m]);
      begins.push_back(static_cast<Index>(members[m]) * block_size_);
      below.push_back({members[m]});
    }
    add(family(block_kind()), blocks, begins, std::move(below));
  };
  std::vector<std::vector<int>> members(static_cast<std::size_t>(groups_));
  for (int k = 0; k < experts_; ++k)
    members[group_of_.empty() ? 0 : static_cast<std::size_t>(group_of_[static_cast<std::size_t>(k)])].push_back(k);
  if (spec_.kind != GateKind::hierarchical) {
    add_experts(members.front());
    return result;
  }
  std::vector<Index> begins;
  begins.reserve(static_cast<std::size_t>(groups_));
  for (int g = 0; g < groups_; ++g) begins.push_back(shared_begin() + g * (shared_size_ / groups_));
  add(family(group_kind()), group_blocks(), begins, members);
  for (const auto& group : members)
    if (group.size() > 1) add_experts(group);
  return result;
}

Matrix Gate::weighted_log_jacobian(const ConstMatrixRef& x, const ConstMatrixRef& c) const {
  Matrix weight = c;
  if (!is_smooth()) {  // log w_k of a selected expert is its score minus the logsumexp over the selected ones
    const Array2 logs = log_weights(x).array();
    // exp(-inf) of a packet of numbers need not be exactly 0.
    const Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic> selected = logs > -std::numeric_limits<double>::infinity();
    const Matrix kept = selected.select(logs.exp(), 0.0);
    weight = selected.select(weight.array(), 0.0);
    const Vector total = weight.rowwise().sum();
    weight -= total.asDiagonal() * kept;
  }
  Matrix j = Matrix::Zero(x.rows(), parameters_.size());
  for (const GateLevel& level : levels(x)) {
    const auto members = static_cast<Index>(level.experts.size());
    Matrix pooled = Matrix::Zero(x.rows(), members);
    for (Index m = 0; m < members; ++m)
      for (const int expert : level.experts[static_cast<std::size_t>(m)]) pooled.col(m) += weight.col(expert);
    if (level.normalised) {
      const Vector total = pooled.rowwise().sum();
      pooled -= total.asDiagonal() * level.log_weights.array().exp().matrix();
    }
    for (Index m = 0; m < members; ++m) {
      const auto at = static_cast<std::size_t>(m);
      const Matrix& jacobian = level.jacobian(at);
      for (Index column = 0; column < jacobian.cols(); ++column)
        j.col(level.parameters[at][static_cast<std::size_t>(column)]) +=
            pooled.col(m).cwiseProduct(jacobian.col(column));
    }
  }
  return j;
}

Matrix Gate::combination_jacobian(const ConstMatrixRef& x, const ConstMatrixRef& values) const {
  return weighted_log_jacobian(x, log_weights(x).array().exp().matrix().cwiseProduct(values));
}

void Gate::pin() {
  if (parameters_.size() == 0) return;
  Eigen::Map<Matrix> blocks(parameters_.data(), block_size_, experts_);
  const int shift = family(block_kind()).free_shift();
  if (spec_.kind == GateKind::hierarchical) {
    for (int k = 0; k < experts_; ++k) {
      if (!last_of_group(k)) continue;
      const int group = group_of_[static_cast<std::size_t>(k)];
      const Vector last = blocks.col(k).head(shift);
      for (int l = 0; l <= k; ++l)
        if (group_of_[static_cast<std::size_t>(l)] == group) blocks.col(l).head(shift) -= last;
      if (group_size(group) == 1) blocks.col(k).setZero();
    }
    Eigen::Map<Matrix> between(parameters_.data() + shared_begin(), shared_size_ / groups_, groups_);
    const int outer_shift = family(group_kind()).free_shift();
    const Vector last = between.col(groups_ - 1).head(outer_shift);
    between.topRows(outer_shift).colwise() -= last;
    if (groups_ == 1) between.setZero();
    return;
  }
  if (experts_ == 1 && sums_to_one()) blocks.setZero();
  const Vector last = blocks.col(experts_ - 1).head(shift);
  blocks.topRows(shift).colwise() -= last;
  if (spec_.top_k == 1 && spec_.top_k_rule == TopKRule::slopes) blocks.row(0).setZero();
  if (spec_.kind == GateKind::cosine && spec_.perturbation == 0)
    for (int k = 0; k < experts_; ++k) {  // the length of a direction changes no weight
      const double length = blocks.col(k).tail(inputs_).norm();
      if (length > 0) blocks.col(k).tail(inputs_) /= length;
    }
}

Gate Gate::permuted(const std::vector<int>& order) const {
  Gate result = *this;
  const auto old = [&](int k) { return order.at(static_cast<std::size_t>(k)); };
  for (int k = 0; k < experts_; ++k) result.block(k) = block(old(k));
  if (spec_.kind == GateKind::fixed)
    for (int k = 0; k < experts_; ++k)
      result.spec_.weights[static_cast<std::size_t>(k)] = spec_.weights[static_cast<std::size_t>(old(k))];
  if (spec_.kind == GateKind::hierarchical) {  // groups are numbered in the order of their first expert
    std::vector<int> number(static_cast<std::size_t>(groups_), -1);
    int next = 0;
    for (int k = 0; k < experts_; ++k) {
      const int group = group_of_[static_cast<std::size_t>(old(k))];
      int& renamed = number[static_cast<std::size_t>(group)];
      if (renamed < 0) {
        renamed = next++;
        result.group_block(renamed) = group_block(group);
      }
      result.group_of_[static_cast<std::size_t>(k)] = renamed;
    }
  }
  result.pin();
  return result;
}

}  // namespace clearway
