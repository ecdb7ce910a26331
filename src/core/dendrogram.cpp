#include "clearway/core/dendrogram.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

void check_weights(const Vector& weights) {
  if (weights.size() < 1) user_error("dendrogram: atoms must be at least 1, not 0");
  for (const double p : weights)
    if (!(p > 0)) user_error("dendrogram: weights must be positive, not {}", p);
}

/// The rows of a matrix (or the elements of a vector) with row i replaced and row j removed; i < j.
template <class Rows>
Rows replace_and_drop(const Rows& rows, int i, const Rows& replacement, int j) {
  Rows out(rows.rows() - 1, rows.cols());
  out.topRows(j) = rows.topRows(j);
  out.bottomRows(out.rows() - j) = rows.bottomRows(out.rows() - j);
  out.row(i) = replacement.row(0);
  return out;
}

/// Row i of `rows` becomes share * row i + (1 - share) * row j, and row j goes.
template <class Rows>
Rows merge_rows(const Rows& rows, int i, int j, double share) {
  const Rows mean = share * rows.row(i) + (1 - share) * rows.row(j);
  return replace_and_drop(rows, i, mean, j);
}

Vector merge_weights(const Vector& weights, int i, int j) {
  return replace_and_drop(weights, i, Vector::Constant(1, weights(i) + weights(j)).eval(), j);
}

}  // namespace

void LocationAtoms::check() const {
  check_weights(weights);
  if (positions.rows() != weights.size())
    user_error("dendrogram: positions must have {} rows, not {}", weights.size(), positions.rows());
}

double LocationAtoms::dissimilarity(int i, int j) const {
  return (positions.row(i) - positions.row(j)).squaredNorm() / (1 / weights(i) + 1 / weights(j));
}

LocationAtoms LocationAtoms::merged(int i, int j) const {
  const double share = weights(i) / (weights(i) + weights(j));
  return {merge_weights(weights, i, j), merge_rows(positions, i, j, share)};
}

void GaussianAtoms::check() const {
  check_weights(weights);
  if (means.rows() != weights.size())
    user_error("dendrogram: means must have {} rows, not {}", weights.size(), means.rows());
  if (static_cast<Eigen::Index>(covariances.size()) != weights.size())
    user_error("dendrogram: covariances must be {}, not {}", weights.size(), covariances.size());
  for (const Matrix& s : covariances)
    if (s.rows() != means.cols() || s.cols() != means.cols())
      user_error("dendrogram: covariances must be {0} x {0}, not {1} x {2}", means.cols(), s.rows(), s.cols());
}

double GaussianAtoms::dissimilarity(int i, int j) const {
  const Matrix& first = covariances[static_cast<std::size_t>(i)];
  const Matrix& second = covariances[static_cast<std::size_t>(j)];
  return ((means.row(i) - means.row(j)).squaredNorm() + (first - second).norm()) / (1 / weights(i) + 1 / weights(j));
}

GaussianAtoms GaussianAtoms::merged(int i, int j) const {
  const double share = weights(i) / (weights(i) + weights(j));
  const Vector gap = means.row(i) - means.row(j);
  GaussianAtoms out{merge_weights(weights, i, j), merge_rows(means, i, j, share), covariances};
  Matrix& kept = out.covariances[static_cast<std::size_t>(i)];
  kept = share * kept + (1 - share) * covariances[static_cast<std::size_t>(j)] +
         share * (1 - share) * gap * gap.transpose();
  out.covariances.erase(out.covariances.begin() + j);
  return out;
}

void SoftmaxGaussianAtoms::check() const {
  measure.check();
  if (measure.variances.size() == 0) user_error("dendrogram: softmax-gated Gaussian experts need variances");
}

double SoftmaxGaussianAtoms::dissimilarity(int i, int j) const {
  const double intercepts = measure.expert_intercepts(i) - measure.expert_intercepts(j);
  const double variances = measure.variances(i) - measure.variances(j);
  const double slopes = (measure.expert_slopes.row(i) - measure.expert_slopes.row(j)).squaredNorm();
  return (intercepts * intercepts + std::sqrt(slopes + variances * variances)) /
         (std::exp(-measure.gate_intercepts(i)) + std::exp(-measure.gate_intercepts(j)));
}

SoftmaxGaussianAtoms SoftmaxGaussianAtoms::merged(int i, int j) const {
  const double bi = measure.gate_intercepts(i), bj = measure.gate_intercepts(j);
  const double larger = std::max(bi, bj);
  const double total = larger + std::log(std::exp(bi - larger) + std::exp(bj - larger));
  const double share = std::exp(bi - total);
  MixingMeasure out;
  out.gate_intercepts = replace_and_drop(measure.gate_intercepts, i, Vector::Constant(1, total).eval(), j);
  out.gate_slopes = merge_rows(measure.gate_slopes, i, j, share);
  out.expert_slopes = merge_rows(measure.expert_slopes, i, j, share);
  out.expert_intercepts = merge_rows(measure.expert_intercepts, i, j, share);
  out.variances = merge_rows(measure.variances, i, j, share);
  return {out};
}

std::vector<double> dendrogram_criterion(const std::vector<double>& heights,
                                         const std::vector<double>& mean_log_likelihoods, double omega) {
  if (heights.size() != mean_log_likelihoods.size())
    user_error("dendrogram criterion: log-likelihoods must be {}, one per merge, not {}", heights.size(),
               mean_log_likelihoods.size());
  std::vector<double> out;
  for (std::size_t s = 0; s < heights.size(); ++s) out.push_back(-(heights[s] + omega * mean_log_likelihoods[s]));
  return out;
}

}  // namespace clearway
