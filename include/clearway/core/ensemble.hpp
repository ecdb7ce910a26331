// What several fitted models say together: their mean, and how much of the uncertainty is theirs.
//
//   total entropy      H(mean over members of p_m)            expected entropy   mean over members of H(p_m)
//   mutual information total - expected >= 0: what the members disagree about (Depeweg et al. 2018, "epistemic"; Houlsby
//                      et al. 2011), 0 when they agree, at most log of the number of members. In nats.
//
// Gaussian members: the mean of means; variance = mean of variances + variance of means, divisor M
// (Lakshminarayanan, Pritzel and Blundell 2017).
//
// std::invalid_argument for no members, for shapes that differ and for values that are not probabilities (finite means,
// positive deviations).
#pragma once

#include <span>

#include "clearway/core/types.hpp"

namespace clearway {

struct EnsembleProbability {
  Matrix mean;           ///< of the members' probabilities, as they came
  Matrix deviation;      ///< standard deviation over members, divisor M - 1; 0 for one member
  Matrix total_entropy;  ///< n x 1 (classes) or n x L (labels)
  Matrix expected_entropy;
  Matrix mutual_information;
};
/// Members of n x C probabilities whose rows sum to 1.
EnsembleProbability class_ensemble(std::span<const Matrix> members);
/// Members of n x L probabilities of events, each label on its own; L = 1 for a binary task.
EnsembleProbability label_ensemble(std::span<const Matrix> members);

struct EnsembleGaussian {
  Vector mean, deviation;  ///< of the mixture of the members
  Vector within, between;  ///< root of the mean variance, root of the variance of the means
};
/// Means and standard deviations, each n x M: one column per member.
EnsembleGaussian gaussian_ensemble(const ConstMatrixRef& means, const ConstMatrixRef& deviations);

}  // namespace clearway
