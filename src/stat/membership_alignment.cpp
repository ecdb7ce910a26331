#include "clearway/stat/membership_alignment.hpp"

#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/core/alignment.hpp"

namespace clearway {

namespace {

// What is fixed of one expert, in a form that can be compared.
std::vector<std::pair<int, double>> fixed_of(const MixtureModel& model, int expert) {
  std::vector<std::pair<int, double>> list;
  for (const FixedParameter& f : model.constraints.fixed)
    if (!f.in_gate && f.expert == expert) list.emplace_back(f.parameter, f.value);
  std::sort(list.begin(), list.end());
  return list;
}

bool gate_tells_apart(const MixtureModel& model) {
  Constraints in_gate = model.constraints;
  std::erase_if(in_gate.fixed, [](const FixedParameter& f) { return !f.in_gate; });
  return !in_gate.symmetric(model.expert_count());
}

}  // namespace

ExpertParts possible_parts(const MixtureModel& refitted, const MixtureModel& original) {
  const int k = original.expert_count();
  const bool numbered = gate_tells_apart(original);
  ExpertParts possible(k, k);
  for (int i = 0; i < k; ++i)
    for (int j = 0; j < k; ++j)
      possible(i, j) = numbered ? i == j
                                : refitted.experts[static_cast<std::size_t>(i)].spec().kind ==
                                          original.experts[static_cast<std::size_t>(j)].spec().kind &&
                                      fixed_of(refitted, i) == fixed_of(original, j);
  return possible;
}

MembershipAlignment align_memberships(const ConstMatrixRef& refitted, const ConstMatrixRef& original,
                                      const ConstVectorRef& weights, const ExpertParts& possible) {
  if (refitted.rows() != original.rows() || refitted.cols() != original.cols())
    user_error("memberships to align must have one shape, not {} x {} and {} x {}", refitted.rows(), refitted.cols(),
               original.rows(), original.cols());
  const Vector w = weights.size() ? Vector(weights) : Vector::Ones(original.rows());
  const Matrix weighted = w.asDiagonal() * original;
  const Matrix overlap = refitted.transpose() * weighted;
  const Vector squares = refitted.cwiseAbs2().transpose() * w;
  const Matrix original_overlap = original.transpose() * weighted;
  Matrix cost = (-2 * overlap).colwise() + squares;  // the original's own squares shift a column as a whole
  // More than all others together, so that no impossible pair is taken where there is another way.
  if (possible.size() > 0) cost = possible.select(cost, cost.cwiseAbs().sum() + 1);
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
