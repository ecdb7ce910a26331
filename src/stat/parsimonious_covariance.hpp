// Covariances of Gaussian experts that have volume, shape or orientation in common: the 14 forms of Celeux and Govaert
// (1995, Pattern Recognition 28, 781), Sigma_k = lambda_k D_k A_k D_k' with |A_k| = 1.
//
// Their M-step minimises  sum_k n_k log |Sigma_k| + tr(W_k Sigma_k^-1)  for the weighted scatter matrices W_k of the
// residuals and the weights n_k. EII, VII, EEI, EVI, VVI, EEE, EEV, EVV and VVV have closed forms. VEI, VEE and VEV take
// volumes and the rest in turn. A common orientation of own shapes (EVE, VVE) is improved by plane rotations, each at its
// best angle (there is a closed form: the objective is a sinusoid of twice the angle). No step raises the objective.
#pragma once

#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway::detail {

/// 'E', 'V' or 'I' of the volume (place 0), the shape (1) or the orientation (2) of any form, full and diagonal included.
char covariance_letter(CovarianceKind kind, int place);

/// Number of free parameters of k covariances of m responses.
int covariance_parameters(CovarianceKind kind, int experts, int responses);

/// The covariances (m x m each) that minimise the objective, from `scatter` (k matrices, positive definite; of forms
/// without orientation only the diagonals count) and `weights` (k, positive). Forms without a closed form begin at
/// `start`, which must be of the form itself or of one that it contains, and take at most `rounds` rounds.
std::vector<Matrix> parsimonious_covariances(CovarianceKind kind, const std::vector<Matrix>& scatter,
                                             const Vector& weights, const std::vector<Matrix>& start, int rounds = 50);

/// sum_k n_k log |Sigma_k| + tr(W_k Sigma_k^-1), smaller is better.
double covariance_objective(const std::vector<Matrix>& covariances, const std::vector<Matrix>& scatter,
                            const Vector& weights);

}  // namespace clearway::detail
