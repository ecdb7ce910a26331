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

struct MixtureModel {
  Gate gate;
  std::vector<Expert> experts;
  double noise_weight = 0.0;       ///< eps; 0 means no noise component
  double noise_log_density = 0.0;  ///< -log(volume), used when has_noise
  bool has_noise = false;

  int expert_count() const { return static_cast<int>(experts.size()); }
  /// Estimated parameters in all: gate, experts, shared variance once, noise weight.
  int degrees_of_freedom() const;

  /// log p_k = log(1-eps) + log gate_k + log f_k, n x k (with noise: n x (k+1), the noise last).
  Matrix joint_log_density(const Data& data) const;
  /// Log-likelihood: sum over rows of weight * log p(y | x).
  double log_likelihood(const Data& data) const;
  /// Posterior weights of the experts (and of the noise, last), rows sum to 1.
  Matrix responsibilities(const Data& data) const;

  /// E[y | x]: n x m (multinomial: n x c), noise component left out.
  Matrix mean(const Data& inputs) const;
  /// Mixture quantile per row for one real or count response (before censoring), probability in (0, 1); NaN where a link
  /// does not allow the linear predictor.
  Vector quantile(const Data& inputs, double probability) const;
  /// The expert with the largest gate weight per row (from 0).
  std::vector<int> most_likely_expert(const Data& inputs) const;
  /// Experts by decreasing average gate weight on the data: the order of every report.
  std::vector<int> order_by_share(const Data& data) const;
  /// The model with experts reordered: new expert i is old expert order[i].
  MixtureModel permuted(const std::vector<int>& order) const;
};

}  // namespace clearway
