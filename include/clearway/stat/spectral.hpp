// Regressors of a mixture of experts straight from cross-moments of inputs and response: no gate, no iteration, no
// local optimum.
//
// Whiten the inputs, transform the response (response_transform.hpp), take M2 and the projected T3 (moments.hpp),
// decompose (tensor_decomposition.hpp), map back. Exact in the limit when the inputs are Gaussian, the regressors have
// equal length in whitened inputs and no intercepts, and no gate direction w_i - w_j has a component along a regressor;
// with two experts, no gate intercept and an odd mean function any gate will do. Elsewhere the answer is biased and is
// a starting value for EM. Algorithm A of docs/spectral.md; Makkuva, Oh, Kannan and Viswanath, "Breaking the gridlock
// in mixture-of-experts", ICML 2019, arXiv 1802.07417.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"
#include "clearway/stat/tensor_decomposition.hpp"

namespace clearway {

/// What is assumed about the lengths of the regressors, measured in whitened inputs.
enum class RegressorLength {
  automatic,  ///< common for linear experts, unit otherwise
  unit,       ///< all 1: the assumption of the paper
  common,     ///< all equal, estimated from the trace of M2 (linear experts: the method is exact for any common length)
  free        ///< from the decomposition; noisy, but the only choice that can see unequal lengths
};

/// Which score tensors stand for the Hermite tensors of Gaussian inputs.
enum class InputModel {
  automatic,  ///< Gaussian unless Mardia's tests reject it and a Gaussian mixture describes the inputs better (BIC)
  gaussian,
  mixture  ///< Gaussian mixture fitted to the inputs
};

struct SpectralOptions {
  int experts = 2;
  ExpertSpec link;  ///< kind, degree and leak are used: linear, sigmoid, tanh, relu, leaky-relu, odd polynomial
  /// Noise standard deviation in the units of y. NaN: not known; linear experts do not need it, others start from 0 and
  /// are repeated once with the estimate of 10 iterations of EM.
  double sigma = std::numeric_limits<double>::quiet_NaN();
  /// Linear experts: subtract the mean of y first. False when the experts are known to have no intercept over centred
  /// inputs: the answer for two experts is then exact for every gate without intercept (parity).
  bool centre_response = true;
  RegressorLength length = RegressorLength::automatic;
  InputModel inputs = InputModel::automatic;
  int mixture_components = 4;  ///< of the input model
  DecompositionMethod decomposition = DecompositionMethod::power;
  int starts = 30;      ///< of the tensor decomposition
  int iterations = 30;  ///< of the tensor decomposition, per start
  std::uint64_t seed = 1;
  int threads = 1;  ///< 0: all cores. The result does not depend on it.
};

struct SpectralResult {
  bool found = false;     ///< false: the method cannot answer (more experts than independent inputs); slopes are empty
  bool reliable = false;  ///< found, and no diagnosis says that the moments are too weak or the assumptions broken
  Matrix slopes;          ///< k x d: expert i has mean g(intercepts_i + slopes_i . x), on the scale of the given x
  Vector intercepts;      ///< k: what centring leaves (the method itself assumes none in centred inputs)
  Vector weights;         ///< k: E[gate weight of expert i], decreasing, sums to 1
  double sigma = std::numeric_limits<double>::quiet_NaN();  ///< given, or estimated: a starting value, biased low for
                                                            ///< linear experts (root mean square of nearest residuals)
  Vector eigenvalues;                                       ///< k: top of M2, as measured (before the clip)
  double noise_level = 0;              ///< size of an eigenvalue of M2 that is all noise: 2 sqrt(d / n) sd(v2)
  double residual = 0;                 ///< of the tensor decomposition, relative
  bool used_mixture = false;           ///< score tensors of a Gaussian mixture were used
  std::vector<std::string> diagnoses;  ///< each a full sentence; empty when nothing was seen
};

/// Estimates the regressors. x is n x d, y has n entries. Deterministic: the same for any number of threads. Throws
/// std::invalid_argument for shapes that do not fit, values that are not finite, experts < 1, negative sigma, and for a
/// link without a usable cubic transform (even powers: the third moment is zero).
SpectralResult spectral_regressors(const Matrix& x, const Vector& y, const SpectralOptions& options);

/// Largest |cos| between a gate direction w_i - w_j and a regressor: what the spectral method assumes to be 0. Rows of
/// `gate_slopes` (k x d) and `expert_slopes` (k x d) over the same inputs; with a covariance (d x d, may be empty) the
/// angle is that of whitened inputs. Differences shorter than 1e-8 of the longest are left out; 0 when none remains.
double orthogonality_diagnosis(const Matrix& gate_slopes, const Matrix& expert_slopes, const Matrix& covariance = {});

}  // namespace clearway
