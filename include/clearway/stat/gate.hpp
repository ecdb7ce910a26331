// A gate chosen at run time: kind, fixed settings and one flat parameter vector, laid out expert by expert.
//
// The formulas live in clearway/core/gates; this file is the one place where --gate becomes a type.
//
// Every gate is a softmax over scores t_k(x; theta_k), each expert with its own block theta_k:
//   softmax    [intercept, slope_1..slope_q]                     t = (intercept + slope'x) / temperature
//   constant   [intercept]                                       t = intercept
//   equal      []                                                t = 0
//   sigmoid    [intercept, slopes]                               t = log sigmoid((intercept + slope'x) / temperature)
//   laplace    [intercept, centre_1..centre_q]                   t = intercept - |(x - centre) / input_scale| / temperature
//   gaussian   [intercept, centre, factor (lower, by columns)]   t = intercept + log|L| - |L'(x - centre)|^2 / 2,
//              the diagonal of L stored as its logarithm
//   quadratic  [intercept, slopes (if linear_term), form]        t = (intercept + slope'x + form(x)) / temperature
//              form: full = x_i x_j for i <= j (row by row), diagonal = x_i^2, low rank = u_r (q), v_r (q) for each r
// Parameters that the model leaves free by a symmetry are pinned (softmax, constant, quadratic: the last block is 0;
// laplace, gaussian: the last intercept is 0).
#pragma once

#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway {

class Gate {
 public:
  /// A gate over `inputs` columns for `experts` experts, all parameters zero (weights all equal, where the kind allows).
  Gate(GateSpec spec, int inputs, int experts);
  Gate() : Gate(GateSpec{.kind = GateKind::equal}, 0, 1) {}

  const GateSpec& spec() const { return spec_; }
  int inputs() const { return inputs_; }
  int experts() const { return experts_; }
  int block_size() const { return block_size_; }

  /// All parameters, pinned ones included: experts() * block_size() numbers, block by block.
  const Vector& parameters() const { return parameters_; }
  Vector& parameters() { return parameters_; }
  Eigen::Map<const Vector> block(int expert) const {
    return {parameters_.data() + static_cast<Eigen::Index>(expert) * block_size_, block_size_};
  }
  Eigen::Map<Vector> block(int expert) {
    return {parameters_.data() + static_cast<Eigen::Index>(expert) * block_size_, block_size_};
  }
  /// Whether parameter i of the flat vector is pinned (by symmetry) and never estimated.
  bool pinned(Eigen::Index i) const;
  /// Number of identifiable parameters (what AIC and BIC count).
  int degrees_of_freedom() const;

  /// Per-input scale of the Laplace distance (1 x q, all ones unless set).
  const Vector& input_scale() const { return input_scale_; }
  void set_input_scale(const Vector& scale);

  /// Log-weights, n x k, rows of exp sum to 1. x is n x q.
  Matrix log_weights(const ConstMatrixRef& x) const;
  /// Scores t, n x k, before normalising.
  Matrix scores(const ConstMatrixRef& x) const;
  /// d t_k / d theta_k for every row: n x block_size().
  Matrix score_jacobian(const ConstMatrixRef& x, int expert) const;
  /// d/d theta of sum_k w_k(x) v_k, values v (n x k) held fixed: n x parameters().size(), columns in the order of
  /// parameters() (pinned ones included). The regression function of a mixture of experts is such a sum.
  Matrix combination_jacobian(const ConstMatrixRef& x, const ConstMatrixRef& values) const;
  /// True when scores are linear in the parameters with features shared by all experts (softmax, constant, quadratic
  /// full and diagonal): then t_k = features(x) . theta_k / temperature.
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
  /// Re-establishes the pinned values without changing any weight.
  void pin();

 private:
  GateSpec spec_;
  int inputs_;
  int experts_;
  int block_size_;
  Vector parameters_;
  Vector input_scale_;
};

}  // namespace clearway
