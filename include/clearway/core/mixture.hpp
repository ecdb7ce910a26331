// The mixture: gate weights and expert densities put together.
//
//   log p(y | x) = logsumexp_k(log w_k(x) + log f_k(y | x)),   r_k = w_k f_k / p,   E[y | x] = sum_k w_k E_k[y | x]
#pragma once

#include <limits>

#include "clearway/core/array.hpp"

namespace clearway {

/// log p(y_i | x_i) per row: log_weights n x k, log_densities n x k -> n x 1.
template <Array A>
A log_mixture_density(const A& log_weights, const A& log_densities) {
  check_shape("mixture", "log_densities", log_densities, rows(log_weights), cols(log_weights));
  const A joint = log_weights + log_densities;
  return logsumexp_rows(joint);
}

/// Posterior weights of the experts: n x k, n x k -> n x k. Rows sum to 1; a row that no expert can have produced
/// (all densities 0) has weights 0.
template <Array A>
A responsibilities(const A& log_weights, const A& log_densities) {
  check_shape("mixture", "log_densities", log_densities, rows(log_weights), cols(log_weights));
  const A joint = log_weights + log_densities;
  const A log_total = maximum(logsumexp_rows(joint), std::numeric_limits<double>::lowest());
  const A minus = -log_total;
  const A log_posterior = add_col(joint, minus);
  return exp(log_posterior);
}

/// E[y | x] of one response: log_weights n x k, expert means n x k -> n x 1.
template <Array A>
A mixture_mean(const A& log_weights, const A& means) {
  check_shape("mixture", "means", means, rows(log_weights), cols(log_weights));
  const A weighted = exp(log_weights) * means;
  return sum_rows(weighted);
}

/// Log-likelihood: sum over rows of weight * log p, 1 x 1. `weights` is n x 1, or empty for 1 each; a row of weight 0
/// counts nothing, even where its density is 0.
template <Array A>
A mixture_log_likelihood(const A& log_weights, const A& log_densities, const A& weights = A()) {
  const A log_p = log_mixture_density(log_weights, log_densities);
  const std::ptrdiff_t n = rows(log_p);
  const A ones = filled(log_p, 1, n, 1.0);
  if (rows(weights) == 0) return matmul(ones, log_p);
  check_shape("mixture", "weights", weights, n, 1);
  const A finite = maximum(log_p, std::numeric_limits<double>::lowest());
  const A weighted = weights * finite;
  return matmul(ones, weighted);
}

}  // namespace clearway
