// Multivariate Hermite polynomials of k variables up to a degree, and moments of a response with them.
//
// He_alpha(p) = prod_i He_{alpha_i}(p_i) is orthogonal under N(0, I) with square alpha!, and E[v S_m(p)]_{alpha} is
// E[v He_alpha(p)], which for v = sum_alpha c_alpha He_alpha is alpha! c_alpha.
#pragma once

#include <vector>

#include "clearway/core/types.hpp"

namespace clearway::detail {

class HermiteBasis {
 public:
  HermiteBasis(Eigen::Index variables, int degree);

  Eigen::Index size() const { return static_cast<Eigen::Index>(indices_.size()); }
  /// Variables of polynomial c with repetition, increasing: {0, 0, 2} is He_2(p_0) He_1(p_2).
  const std::vector<int>& indices(Eigen::Index c) const { return indices_[static_cast<std::size_t>(c)]; }
  /// alpha! of polynomial c.
  double factorial(Eigen::Index c) const;
  /// Values at the rows of p (b x k): b x size().
  void evaluate(const Matrix& p, Matrix& values) const;

  static Eigen::Index count(Eigen::Index variables, int degree);

 private:
  Eigen::Index variables_;
  int degree_;
  std::vector<std::vector<int>> indices_;
};

/// E[v He_alpha(U'z)] for every polynomial of the basis, v the residual of column `column` of v on [1, z]; estimated by
/// least squares of v on the whole basis when `regress`, else by plain means. `projection` = forward * U (d x k),
/// `slope` (d) and `v_mean` give the residual.
Vector hermite_moments_of(const Matrix& x, const Vector& x_mean, const Matrix& projection, const ConstVectorRef& v,
                          double v_mean, const Vector& slope, const HermiteBasis& basis, bool regress, int threads);

}  // namespace clearway::detail
