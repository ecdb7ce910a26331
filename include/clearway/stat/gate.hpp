// A gate chosen at run time: kind, fixed settings and one flat parameter vector, laid out expert by expert.
//
// The formulas live in clearway/core/gates; this file is the one place where --gate becomes a type. docs/gates.md says
// what each kind is for.
//
// Every gate but the hierarchical one is a softmax over scores t_k(x; theta_k), each expert with its own block theta_k:
//   softmax    [intercept, slope_1..slope_q]                     t = (intercept + slope'x) / temperature
//   constant   [intercept]                                       t = intercept
//   equal      []                                                t = 0
//   fixed      []                                                t = log of the given weight
//   sigmoid    [intercept, slopes]                               t = log sigmoid((intercept + slope'x) / temperature)
//   laplace    [intercept, centre_1..centre_q]                   t = intercept - |(x - centre) / input_scale| / temperature
//   gaussian   [intercept, centre, factor (lower, by columns)]   t = intercept + log|L| - |L'(x - centre)|^2 / 2,
//              the diagonal of L stored as its logarithm
//   quadratic  [intercept, slopes (if linear_term), form]        t = (intercept + slope'x + form(x)) / temperature
//              form: full = x_i x_j for i <= j (row by row), diagonal = x_i^2, low rank = u_r (q), v_r (q) for each r
//   activated  [intercept, slopes]                               t = (intercept + g(slope'z)) / temperature
//   cosine     [intercept, direction_1..direction_q]             t = intercept + cosine(z, direction) / temperature
//   unnormalised_sigmoid: as sigmoid, but the weights are the sigmoids themselves and do not sum to 1
// The hierarchical gate has a block per expert for the gate within its group and a block per group for the gate between
// groups, both laid out as softmax or laplace.
//
// After the blocks of the experts come parameters that belong to no expert (shared_size() of them): the blocks of the
// groups of a hierarchical gate, or the log temperature of an activated or plain cosine gate that estimates it.
//
// z are the inputs as the formula sees them: (x - input_centre) / input_scale where the family of weights is not closed
// under a change of units (activated, cosine, any gate with modified inputs, which sees M of that), else x.
// Parameters that the model leaves free by a symmetry are pinned (softmax, constant, quadratic: the last block is 0;
// laplace, gaussian, activated, cosine: the last intercept is 0; hierarchical: so within every group and between groups).
#pragma once

#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/gate_specification.hpp"

namespace clearway {

namespace detail {
struct ScoreFamily;
}

/// One softmax inside a gate: its members share the weight of the rows that reach it. A flat gate is one level whose
/// members are the experts; a hierarchical gate has one level over groups and one in every group of two and more.
struct GateLevel {
  std::vector<std::vector<int>> experts = {};  ///< [member] the experts below it
  Matrix log_weights = {};                     ///< n x members; rows of exp sum to 1 where `normalised`
  std::vector<Matrix> jacobians = {};          ///< [member] n x columns: d score / d parameters; one for all: shared
  std::vector<std::vector<Eigen::Index>> parameters =
      {};  ///< [member] where each column is in the flat parameter vector
  bool normalised = true;

  const Matrix& jacobian(std::size_t member) const { return jacobians.size() == 1 ? jacobians[0] : jacobians[member]; }
};

class Gate {
 public:
  /// A gate over `inputs` columns for `experts` experts, all parameters zero (weights all equal, where the kind allows).
  /// A temperature that is estimated starts at that of the spec; experts go to groups in order, as equally as they can.
  Gate(GateSpec spec, int inputs, int experts);
  Gate() : Gate(GateSpec{.kind = GateKind::equal}, 0, 1) {}

  const GateSpec& spec() const { return spec_; }
  int inputs() const { return inputs_; }
  int experts() const { return experts_; }
  int block_size() const { return block_size_; }

  /// All parameters, pinned ones included: experts() * block_size() numbers, block by block, then shared_size() more.
  const Vector& parameters() const { return parameters_; }
  Vector& parameters() { return parameters_; }
  Eigen::Map<const Vector> block(int expert) const {
    return {parameters_.data() + static_cast<Eigen::Index>(expert) * block_size_, block_size_};
  }
  Eigen::Map<Vector> block(int expert) {
    return {parameters_.data() + static_cast<Eigen::Index>(expert) * block_size_, block_size_};
  }
  /// Number of parameters after the blocks of the experts.
  int shared_size() const { return shared_size_; }
  Eigen::Map<const Vector> shared() const { return {parameters_.data() + shared_begin(), shared_size_}; }
  Eigen::Map<Vector> shared() { return {parameters_.data() + shared_begin(), shared_size_}; }
  /// Block of a group of a hierarchical gate: the gate between groups.
  Eigen::Map<const Vector> group_block(int group) const;
  Eigen::Map<Vector> group_block(int group);

  /// Hierarchical: number of groups, and the group of each expert (from 0, in the order of first appearance).
  int groups() const { return groups_; }
  const std::vector<int>& group_of() const { return group_of_; }
  /// Throws std::invalid_argument unless every group 0..groups()-1 has an expert and groups appear in order.
  void set_group_of(const std::vector<int>& group_of);

  /// Whether parameter i of the flat vector is pinned (by symmetry) and never estimated.
  bool pinned(Eigen::Index i) const;
  /// Whether parameter i is an intercept or a log temperature: what a ridge penalty leaves alone.
  bool unpenalised(Eigen::Index i) const;
  /// Whether parameter i is the log temperature.
  bool is_log_temperature(Eigen::Index i) const { return estimates_temperature() && i == parameters_.size() - 1; }
  /// Number of identifiable parameters (what AIC and BIC count).
  int degrees_of_freedom() const;

  /// Whether weights (and so the likelihood) depend smoothly on the parameters. Not so for top-k gates, which jump where
  /// another expert enters the selection: second derivatives then say nothing about the region borders, and standard
  /// errors of the gate from them must be marked as such.
  bool is_smooth() const { return spec_.top_k == 0 || spec_.top_k == experts_; }
  /// Whether the weights of a row sum to 1. Not so for the unnormalised sigmoid: no mixture density, no likelihood.
  bool sums_to_one() const { return spec_.kind != GateKind::unnormalised_sigmoid; }
  /// Whether the temperature is a parameter (log temperature, the last one).
  bool estimates_temperature() const;
  /// The temperature in force.
  double temperature() const;
  /// The same gate with weights for all experts (top_k = 0).
  Gate dense() const;

  /// Per-input centre and scale of the units in which the formula sees the inputs (zeros and ones unless set). Laplace
  /// distances use the scale only: their centres are on the scale of the inputs.
  const Vector& input_centre() const { return input_centre_; }
  const Vector& input_scale() const { return input_scale_; }
  void set_input_scale(const Vector& scale);
  void set_units(const Vector& centre, const Vector& scale);
  /// Whether the gate keeps its own units and formula sees z, not x.
  bool keeps_units() const;
  /// Whether the weights can follow a shift of the inputs. Not so for the monomial quadratic gate and for selection by
  /// slopes with linear scores: they keep the origin of the inputs.
  bool may_be_shifted() const;
  /// The inputs as the formula sees them: n x q.
  Matrix seen(const ConstMatrixRef& x) const;

  /// Log-weights, n x k, rows of exp sum to 1 (see sums_to_one()); -inf for experts that top-k leaves out. x is n x q.
  Matrix log_weights(const ConstMatrixRef& x) const;
  /// Scores t, n x k, before selection and normalising (hierarchical: the log-weights).
  Matrix scores(const ConstMatrixRef& x) const;
  /// d t_k / d theta_k for every row, n x block_size(), for the gates with own scores (has_own_scores()).
  Matrix score_jacobian(const ConstMatrixRef& x, int expert) const;
  /// True when the score of an expert depends on its block only (all but hierarchical gates and estimated temperatures).
  bool has_own_scores() const { return shared_size_ == 0; }
  /// The levels of the gate without top-k selection; none for gates without parameters.
  std::vector<GateLevel> levels(const ConstMatrixRef& x) const;
  /// sum_k c_k d log w_k / d theta, c (n x k) held fixed: n x parameters().size(), pinned ones included. Log-weights of
  /// experts that top-k leaves out count as constant. The score of the gate is this at the responsibilities.
  Matrix weighted_log_jacobian(const ConstMatrixRef& x, const ConstMatrixRef& c) const;
  /// d/d theta of sum_k w_k(x) v_k, values v (n x k) held fixed: n x parameters().size(), columns in the order of
  /// parameters() (pinned ones included). The regression function of a mixture of experts is such a sum. For top-k
  /// gates the selection is held fixed too.
  Matrix combination_jacobian(const ConstMatrixRef& x, const ConstMatrixRef& values) const;
  /// True when scores are linear in the parameters with features shared by all experts (softmax, constant, quadratic
  /// full and diagonal): then t_k = features(x) . theta_k / temperature. Top-k gates then select among such scores.
  bool is_linear() const;
  /// Features of a linear gate: n x block_size().
  Matrix features(const ConstMatrixRef& x) const;

  /// The same gate for inputs x_raw = centre + scale * x (per input): parameters moved to the raw scale.
  Gate on_raw_scale(const Vector& centre, const Vector& scale) const;
  /// The inverse: the gate over x = (x_raw - centre) / scale.
  Gate on_standard_scale(const Vector& centre, const Vector& scale) const;
  /// Experts reordered: new expert i is old expert order[i]; symmetries are pinned again.
  Gate permuted(const std::vector<int>& order) const;
  /// Names of the parameters of one block, given the names of the inputs: "(intercept)", "x1", "centre x1", "x1*x2" ...
  std::vector<std::string> block_names(const std::vector<std::string>& input_names) const;
  /// Names of the shared parameters: "group 1 (intercept)", "group 1 x1" ..., or "log(temperature)".
  std::vector<std::string> shared_names(const std::vector<std::string>& input_names) const;
  /// Re-establishes the pinned values without changing any weight.
  void pin();

 private:
  Eigen::Index shared_begin() const { return static_cast<Eigen::Index>(experts_) * block_size_; }
  GateKind block_kind() const;
  GateKind group_kind() const;
  detail::ScoreFamily family(GateKind kind) const;
  Matrix group_blocks() const;
  Matrix selection(const ConstMatrixRef& x, const Matrix& scores) const;
  bool last_of_group(int expert) const;
  int group_size(int group) const;

  GateSpec spec_;
  int inputs_;
  int experts_;
  int block_size_;
  int shared_size_ = 0;
  int groups_ = 1;
  std::vector<int> group_of_;  ///< hierarchical only
  Vector parameters_;
  Vector input_centre_;
  Vector input_scale_;
};

}  // namespace clearway
