#include "clearway/stat/membership_alignment.hpp"

#include "clearway/base/errors.hpp"
#include "clearway/core/alignment.hpp"

namespace clearway {

MembershipAlignment align_memberships(const ConstMatrixRef& refitted, const ConstMatrixRef& original,
                                      const ConstVectorRef& weights) {
  if (refitted.rows() != original.rows() || refitted.cols() != original.cols())
    user_error("memberships to align must have one shape, not {} x {} and {} x {}", refitted.rows(), refitted.cols(),
               original.rows(), original.cols());
  const Vector w = weights.size() ? Vector(weights) : Vector::Ones(original.rows());
  const Matrix weighted = w.asDiagonal() * original;
  const Matrix overlap = refitted.transpose() * weighted;
  const Vector squares = refitted.cwiseAbs2().transpose() * w;
  const Matrix original_overlap = original.transpose() * weighted;
  const Matrix cost = (-2 * overlap).colwise() + squares;  // the original's own squares shift a column as a whole
  MembershipAlignment result;
  result.order = optimal_assignment(cost);
  const Matrix kept = overlap(result.order, Eigen::all);  // kept(i, j): refitted expert in the part of i, original j
  result.agreement = kept.trace() / original_overlap.trace();
  const auto contrast = [](const Matrix& m, Eigen::Index i, Eigen::Index j) {
    return m(i, i) + m(j, j) - m(i, j) - m(j, i);
  };
  for (Eigen::Index i = 0; i < cost.cols(); ++i)
    for (Eigen::Index j = 0; j < i; ++j)
      result.ambiguous = result.ambiguous || contrast(kept, i, j) < 0.5 * contrast(original_overlap, i, j);
  return result;
}

}  // namespace clearway
