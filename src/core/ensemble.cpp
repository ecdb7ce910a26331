#include "clearway/core/ensemble.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"
#include "score_checks.hpp"

namespace clearway {

namespace {

/// -p log p, elementwise, where 0 log 0 = 0.
Matrix entropy_terms(const Matrix& p) {
  return p.unaryExpr([](double v) { return v > 0 ? -v * std::log(v) : 0.0; });
}

template <class Entropy>
EnsembleProbability summarise(std::span<const Matrix> members, Entropy&& entropy) {
  if (members.empty()) user_error("ensemble: there are no members");
  const Matrix& first = members.front();
  for (const Matrix& p : members) {
    if (p.rows() != first.rows() || p.cols() != first.cols())
      user_error("ensemble: a member is {} x {}, the first {} x {}", p.rows(), p.cols(), first.rows(), first.cols());
    detail::check_probabilities("ensemble", p);
  }
  const double count = static_cast<double>(members.size());
  EnsembleProbability out;
  out.mean = Matrix::Zero(first.rows(), first.cols());
  out.deviation = out.mean;
  for (const Matrix& p : members) out.mean += p / count;
  for (const Matrix& p : members) out.deviation += (p - out.mean).cwiseAbs2();
  if (count > 1) out.deviation = (out.deviation / (count - 1)).cwiseSqrt();
  if (count == 1) out.deviation.setZero();
  out.total_entropy = entropy(out.mean);
  out.expected_entropy = Matrix::Zero(out.total_entropy.rows(), out.total_entropy.cols());
  for (const Matrix& p : members) out.expected_entropy += entropy(p) / count;
  out.mutual_information = (out.total_entropy - out.expected_entropy).cwiseMax(0.0);  // Jensen, up to rounding
  return out;
}

}  // namespace

EnsembleProbability class_ensemble(std::span<const Matrix> members) {
  for (const Matrix& p : members) detail::check_distributions("ensemble", p);
  return summarise(members, [](const Matrix& p) { return Matrix(entropy_terms(p).rowwise().sum()); });
}

EnsembleProbability label_ensemble(std::span<const Matrix> members) {
  return summarise(members, [](const Matrix& p) {
    return Matrix(entropy_terms(p) + entropy_terms(Matrix((1 - p.array()).cwiseMax(0.0))));
  });
}

EnsembleGaussian gaussian_ensemble(const ConstMatrixRef& means, const ConstMatrixRef& deviations) {
  if (means.cols() == 0) user_error("ensemble: there are no members");
  if (means.rows() != deviations.rows() || means.cols() != deviations.cols())
    user_error("ensemble: means are {} x {} but deviations {} x {}", means.rows(), means.cols(), deviations.rows(),
               deviations.cols());
  detail::check_finite("ensemble", "mean", means);
  detail::check_deviations("ensemble", deviations);
  EnsembleGaussian out;
  out.mean = means.rowwise().mean();
  const Vector within = deviations.cwiseAbs2().rowwise().mean();
  const Vector between = (means.colwise() - out.mean).cwiseAbs2().rowwise().mean();
  out.within = within.cwiseSqrt();
  out.between = between.cwiseSqrt();
  out.deviation = (within + between).cwiseSqrt();
  return out;
}

}  // namespace clearway
