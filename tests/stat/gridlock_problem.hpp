// The generator and the error measures of the gridlock tables, for tests: unit regressors, gate directions orthogonal
// to them (or random) with length `gate_norm`, the last one 0, standard normal inputs, one noise level. Written apart
// from the library's scenarios, so that the two check each other.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway::testing {

struct GridlockOptions {
  int experts = 2;
  int dim = 10;
  Eigen::Index rows = 10000;
  double sigma = 0.1;
  double gate_norm = 4;
  bool orthogonal = true;
  ExpertSpec link = {};
  double student_degrees = 0;  ///< > 0: multivariate t inputs
};

struct GridlockProblem {
  Matrix a;  ///< k x d
  Matrix w;  ///< k x d, last row 0
  Matrix x;
  Vector y;
};

inline double reference_mean(const ExpertSpec& link, double z) {
  switch (link.kind) {
    case ExpertKind::sigmoid:
      return 1 / (1 + std::exp(-z));
    case ExpertKind::tanh:
      return std::tanh(z);
    case ExpertKind::relu:
      return z > 0 ? z : 0;
    case ExpertKind::leaky_relu:
      return z > 0 ? z : link.leak * z;
    case ExpertKind::polynomial:
      return std::pow(z, link.degree);
    default:
      return z;
  }
}

inline GridlockProblem gridlock_problem(const GridlockOptions& o, std::uint64_t seed) {
  RandomStream truth(1000u * static_cast<std::uint64_t>(o.experts) + seed, 1);
  RandomStream stream(1000u * static_cast<std::uint64_t>(o.experts) + seed, 2);
  GridlockProblem p;
  const auto normals = [&](Eigen::Index r, Eigen::Index c, RandomStream& s) {
    Matrix m(r, c);
    for (Eigen::Index i = 0; i < r; ++i)
      for (Eigen::Index j = 0; j < c; ++j) m(i, j) = s.normal();
    return m;
  };
  p.a = normals(o.experts, o.dim, truth).rowwise().normalized();
  p.w = normals(o.experts, o.dim, truth);
  if (o.orthogonal) {
    const Matrix q = Eigen::HouseholderQR<Matrix>(p.a.transpose()).householderQ() * Matrix::Identity(o.dim, o.experts);
    p.w -= p.w * q * q.transpose();
  }
  p.w = p.w.rowwise().normalized() * o.gate_norm;
  p.w.row(o.experts - 1).setZero();
  p.x = normals(o.rows, o.dim, stream);
  if (o.student_degrees > 0)
    for (Eigen::Index t = 0; t < o.rows; ++t)
      p.x.row(t) *= std::sqrt(o.student_degrees / (2 * stream.gamma(o.student_degrees / 2)));
  p.y.resize(o.rows);
  std::vector<double> gate(static_cast<std::size_t>(o.experts));
  for (Eigen::Index t = 0; t < o.rows; ++t) {
    const Vector score = p.w * p.x.row(t).transpose();
    for (int i = 0; i < o.experts; ++i) gate[static_cast<std::size_t>(i)] = std::exp(score(i) - score.maxCoeff());
    const auto z = static_cast<Eigen::Index>(stream.categorical(gate.data(), gate.size()));
    p.y(t) = reference_mean(o.link, p.a.row(z).dot(p.x.row(t))) + o.sigma * stream.normal();
  }
  return p;
}

/// min over permutations of max_i |estimate_i - truth_i| / |truth_i|; `best` gets the permutation (estimate's row of
/// true expert i).
inline double regressor_error(const Matrix& estimate, const Matrix& truth, std::vector<int>* best = nullptr) {
  std::vector<int> order(static_cast<std::size_t>(truth.rows()));
  std::iota(order.begin(), order.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    double worst = 0;
    for (Eigen::Index i = 0; i < truth.rows(); ++i)
      worst = std::max(worst,
                       (estimate.row(order[static_cast<std::size_t>(i)]) - truth.row(i)).norm() / truth.row(i).norm());
    if (worst < least) {
      least = worst;
      if (best != nullptr) *best = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

/// |D(estimate) - D(truth)|_F / |D(truth)|_F on w_i - w_k, experts permuted by `order`.
inline double gate_error(const Matrix& estimate, const Matrix& truth, const std::vector<int>& order) {
  Matrix aligned(truth.rows(), truth.cols());
  for (Eigen::Index i = 0; i < truth.rows(); ++i) aligned.row(i) = estimate.row(order[static_cast<std::size_t>(i)]);
  const auto differences = [](const Matrix& w) { return Matrix(w.rowwise() - w.row(w.rows() - 1)); };
  return (differences(aligned) - differences(truth)).norm() / differences(truth).norm();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

}  // namespace clearway::testing
