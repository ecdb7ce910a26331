// The moments of the spectral method, projected to k dimensions before any third-order tensor is formed.
//
// Three ordered passes over blocks of rows: input moments (mean, covariance, regression of the transformed responses on
// the inputs); M2 = E[v S2(z)] in whitened inputs z; T3 = E[v S3(p)] in p = U'z, the top k eigenvectors of M2. Nothing
// of size d^3 ever exists. S2 and S3 are the Hermite tensors when the inputs are Gaussian, or the score tensors of a
// Gaussian mixture fitted to the inputs otherwise (gaussian_mixture.hpp).
#pragma once

#include "clearway/core/types.hpp"
#include "clearway/stat/gaussian_mixture.hpp"
#include "clearway/stat/tensor_decomposition.hpp"

namespace clearway {

/// z = (x - mean) * forward has mean 0 and covariance I; rank may be below d (constant or collinear columns).
struct Whitening {
  Vector mean;      ///< d
  Matrix forward;   ///< d x rank
  Matrix backward;  ///< rank x d: x - mean = z * backward on the support of the inputs
  Eigen::Index rank() const { return forward.cols(); }
  Matrix apply(const ConstMatrixRef& x) const { return (x.rowwise() - mean.transpose()) * forward; }
};

/// Mean, covariance and regressions in one pass.
struct InputMoments {
  Whitening whitening;
  Vector v_mean;   ///< m, means of the transformed responses
  Matrix v_slope;  ///< rank x m: E[z v'], the least squares slopes of v on z
};

/// `v` is n x m, the transformed responses. Directions whose variance is below 1e-10 of the largest (inputs scaled to
/// unit variance) are dropped.
InputMoments input_moments(const Matrix& x, const Matrix& v, int threads);

/// M2 with its noise level and the shape of the inputs.
struct SecondMoment {
  Matrix m2;                  ///< rank x rank
  double residual_sd = 0;     ///< standard deviation of the residual of v
  double kurtosis_ratio = 1;  ///< E|z|^4 / (r (r + 2)): 1 for Gaussian inputs, larger for heavy tails
  double kurtosis_z = 0;      ///< Mardia's test: (E|z|^4 - r(r+2)) / sqrt(8 r (r+2) / n)
  double skewness_z = 0;      ///< n |E z|z|^2|^2 / (2 (r + 2)), a chi-square of r degrees, standardised
};

/// M2 = mean of (v - regression) S2(z); column `column` of v. `scores` null: Hermite tensor.
SecondMoment second_moment(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs,
                           const GaussianMixture* scores, int threads);

/// T3 = mean of (v - regression) S3(U'z). Hermite case: least squares on all Hermite polynomials of degree <= 3 in U'z
/// when n allows it (lower variance than the plain moment, same expectation).
SymmetricTensor3 third_moment(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs,
                              const Matrix& u, const GaussianMixture* scores, int threads);

/// T4 = mean of (v - regression) S4(U'z) for Gaussian inputs: k^2 x k^2, entry (a + k b, c + k d). Estimated as T3 is.
Matrix fourth_moment(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs, const Matrix& u,
                     int threads);

/// The k algebraically largest eigenvalues (descending) and eigenvectors of a symmetric matrix. Lanczos (Spectra) when
/// the matrix is large, the full solver otherwise.
struct TopEigen {
  Vector values;   ///< k
  Matrix vectors;  ///< r x k
};
TopEigen top_eigen(const Matrix& symmetric, Eigen::Index k);

}  // namespace clearway
