// Auxiliary losses of sparse layers as plain functions of tensors; each returns a scalar without its coefficient.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "clearway/deep/assignments.hpp"

namespace clearway::deep {

/// N sum_i f_i P_i, f the share of the assignments, P the mean probability: 1 when both are uniform, N when all tokens go
/// to one expert with certainty (Fedus et al. 2022, eq. 4). probabilities: T x N, rows sum to 1, exactly one softmax.
torch::Tensor load_balance_loss(const torch::Tensor& probabilities, const torch::Tensor& load);
/// Squared coefficient of variation (divisor N) of N non-negative numbers: importance or load (Shazeer et al. 2017).
torch::Tensor squared_variation(const torch::Tensor& values);
/// Mean over tokens of logsumexp(scores)^2 (Zoph et al. 2022). scores: T x N.
torch::Tensor z_loss(const torch::Tensor& scores);
/// Mean over tokens of the entropy of softmax(scores), in nats. scores: T x N, not probabilities.
torch::Tensor entropy_loss(const torch::Tensor& scores);
/// Minus the entropy of the mean over tokens of softmax(scores): -log N when balanced, 0 when collapsed. scores: T x N,
/// not probabilities: rows that sum to 1 and are not negative are refused (std::invalid_argument), because log-softmax
/// of probabilities is flat and its gradient means nothing.
torch::Tensor entropy_balance_loss(const torch::Tensor& scores);
/// Mean cosine of the responses of different winners of a token: 1 when identical, 0 when orthogonal. winners: T x K x d.
/// With `as_published` the mean runs over all K^2 pairs with the diagonal as 0 (arXiv 2505.13380's code), half at K = 2.
torch::Tensor diversity_loss(const torch::Tensor& winners, bool as_published = false);
/// Mean over tokens of KL(target || softmax(scores)); the target is detached. scores, target: T x N.
torch::Tensor kl_distillation(const torch::Tensor& scores, const torch::Tensor& target);
/// Mean over tokens and experts of (softmax(scores) - target)^2; the target is detached.
torch::Tensor mse_distillation(const torch::Tensor& scores, const torch::Tensor& target);
/// The same mean over the winners alone (arXiv 2505.13380, "hybrid"). winners: T x K, int64.
torch::Tensor winner_distillation(const torch::Tensor& scores, const torch::Tensor& target,
                                  const torch::Tensor& winners);

}  // namespace clearway::deep
