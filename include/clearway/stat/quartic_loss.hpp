// The fourth-moment loss of "Learning in gated neural networks" (Makkuva, Oh, Kannan and Viswanath, AISTATS 2020), in
// the form of algorithm E of docs/spectral.md: a loss for the experts alone whose local minima are global.
//
//   L4(B) = sum_{i != j} T4(b_i, b_i, b_j, b_j) - mu sum_i T4(b_i, b_i, b_i, b_i)
//           + lambda sum_i (M2(b_i, b_i) - 1)^2 + delta / 2 |B|^2
//
// with M2 = sum_m w_m a_m a_m' and T4 = sum_m w_m a_m^(x4), or their estimates E[P2 S2(x)] and E[Q4 S4(x)]. For
// mu < lambda min w the minima are the dual basis of the regressors: a_m . b_i = 0 but for one m each, where
// (a_m . b_i)^2 = lambda / (lambda w_m - mu). As T4 is computed once, the full-batch loss costs k^5 per evaluation and
// nothing per row. In d > k dimensions the sample loss is unbounded below (directions where M2 is 0 and T4 is noise),
// so that it is used in the top k eigenvectors of M2 only. The cubic method needs clearly fewer rows; this one also
// sees even mean functions.
#pragma once

#include <cstdint>
#include <limits>

#include "clearway/base/random.hpp"
#include "clearway/core/types.hpp"
#include "clearway/stat/spectral.hpp"
#include "clearway/stat/tensor_decomposition.hpp"

namespace clearway {

/// A k x k matrix and a symmetric k x k x k x k tensor, stored k^2 x k^2 with entry (a + k b, c + k d).
struct QuarticMoments {
  Matrix m2;
  Matrix t4;
  Eigen::Index dimension() const { return m2.rows(); }
};

/// sum_m weights_m a_m a_m' and sum_m weights_m a_m^(x4), a_m in the columns of `vectors` (d x k): the population.
QuarticMoments population_quartic_moments(const Vector& weights, const Matrix& vectors);

struct QuarticLossOptions {
  double lambda = 1;
  double mu = std::numeric_limits<double>::quiet_NaN();  ///< NaN: a quarter of lambda times the least weight, which is
                                                         ///< 1 / max T4 over unit vectors of the whitened tensor
  double delta = 0;                                      ///< ridge on B
};

class QuarticLoss {
 public:
  QuarticLoss(QuarticMoments moments, const QuarticLossOptions& options);

  Eigen::Index dimension() const { return moments_.dimension(); }
  double lambda() const { return options_.lambda; }
  double mu() const { return options_.mu; }
  const QuarticMoments& moments() const { return moments_; }
  /// L4 at B (one row per expert, k x dimension()); `gradient`, of the same shape, when not null.
  double value(const Matrix& b, Matrix* gradient = nullptr) const;

 private:
  QuarticMoments moments_;
  QuarticLossOptions options_;
};

struct QuarticMinimum {
  Matrix b;  ///< k x k
  double loss = 0;
  int iterations = 0;
  bool converged = false;  ///< the gradient is small; false also when the loss runs to minus infinity
};

/// Limited-memory BFGS (memory 10, Armijo and curvature guarded) from `start`, square.
QuarticMinimum minimise(const QuarticLoss& loss, Matrix start, int max_iterations = 1000, double tolerance = 1e-10);

/// Rows are the regressors' directions (unit length, sign free): the dual basis of the rows of B, normalised.
Matrix directions_of(const Matrix& b);

/// The regressors from the fourth moment: whitening and top k eigenvectors of M2 as in spectral_regressors(), T4 in k
/// dimensions, best of `starts` random minimisations, signs from the third moment where there is one (positive first
/// non-zero entry otherwise: an even mean function does not identify them). Options are those of the cubic method;
/// `inputs`, `decomposition` and `length` are not used, lengths are 1 (linear: all equal, from the trace of M2).
SpectralResult quartic_regressors(const Matrix& x, const Vector& y, const SpectralOptions& options, int starts = 5);

}  // namespace clearway
