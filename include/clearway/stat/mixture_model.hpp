// A mixture of experts as a value: gate, experts, optional uniform noise. What fit() returns and predict() uses.
//
//   p(y | x) = eps / volume + (1 - eps) * sum_k gate_k(x_gate) f_k(y | x_expert)
//
// eps is 0 without the noise component; volume is the range of y (the product of the ranges for a vector response).
#pragma once

#include <vector>

#include "clearway/stat/expert.hpp"
#include "clearway/stat/gate.hpp"

namespace clearway {

/// One parameter that is not estimated.
struct FixedParameter {
  bool in_gate = false;  ///< of the gate's block of that expert, or of the expert itself
  int expert = 0;        ///< from 0
  int parameter = 0;     ///< place within the block or the expert's parameters
  double value = 0;      ///< on the scale of the data
};

/// What is not estimated freely. A model carries its constraints, so that its degrees of freedom are right.
struct Constraints {
  std::vector<FixedParameter> fixed;
  std::vector<int> shared;  ///< places within an expert's parameters that all experts have in common

  bool empty() const { return fixed.empty() && shared.empty(); }
  bool is_shared(int parameter) const;
  /// Whether the constraints say the same of every expert, so that experts may be renumbered. (Gate parameters are
  /// relative to the last expert: fixed for all others, and at 0.)
  bool symmetric(int experts) const;
};

struct MixtureModel {
  Gate gate;
  std::vector<Expert> experts;
  double noise_weight = 0.0;       ///< eps; 0 means no noise component
  double noise_log_density = 0.0;  ///< -log(volume), used when has_noise
  bool has_noise = false;
  Constraints constraints = {};

  int expert_count() const { return static_cast<int>(experts.size()); }
  /// Estimated parameters in all: gate, experts, shared variance once, noise weight.
  int degrees_of_freedom() const;

  /// log p_k = log(1-eps) + log gate_k + log f_k, n x k (with noise: n x (k+1), the noise last), row by row whatever
  /// the groups and labels.
  Matrix joint_log_density(const Data& data) const;
  /// Log-likelihood: sum over rows of weight * log p(y | x). Rows of one group share their expert,
  /// log sum_k gate_k prod_t f_k(y_t); a labelled row has but one: log gate_l + log f_l.
  double log_likelihood(const Data& data) const;
  /// Posterior weights of the experts (and of the noise, last), rows sum to 1; equal for the rows of a group, certain
  /// for labelled rows.
  Matrix responsibilities(const Data& data) const;

  /// E[y | x]: n x m (multinomial: n x c), noise component left out.
  Matrix mean(const Data& inputs) const;
  /// Mixture quantile per row for one real or count response, probability in (0, 1).
  Vector quantile(const Data& inputs, double probability) const;
  /// The expert with the largest gate weight per row (from 0).
  std::vector<int> most_likely_expert(const Data& inputs) const;
  /// Experts by decreasing average gate weight on the data: the order of every report.
  std::vector<int> order_by_share(const Data& data) const;
  /// The model with experts reordered: new expert i is old expert order[i].
  MixtureModel permuted(const std::vector<int>& order) const;
};

}  // namespace clearway
