#include "clearway/stat/quartic_loss.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <deque>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

Vector flat_square(const Vector& u) {
  const Matrix outer = u * u.transpose();
  return Eigen::Map<const Vector>(outer.data(), outer.size());
}

/// T(., ., u, u): a symmetric matrix.
Matrix contract_pair(const Matrix& t4, const Vector& u) {
  const Vector product = t4 * flat_square(u);
  return Eigen::Map<const Matrix>(product.data(), u.size(), u.size());
}

/// T(D, D, D, D).
Matrix transformed(const Matrix& t4, const Matrix& d) {
  const Eigen::Index k = d.rows();
  const Eigen::Index r = d.cols();
  Matrix pairs(k * k, r * r);
  for (Eigen::Index b = 0; b < r; ++b)
    for (Eigen::Index a = 0; a < r; ++a)
      for (Eigen::Index j = 0; j < k; ++j) pairs.col(a + r * b).segment(j * k, k) = d.col(a) * d(j, b);
  return pairs.transpose() * t4 * pairs;
}

/// max T(v, v, v, v) over unit vectors, by power iteration from fixed random starts.
double largest_form(const Matrix& t4, Eigen::Index k) {
  double largest = 0;
  for (std::uint64_t start = 0; start < 20; ++start) {
    RandomStream stream(1, start);
    Vector u(k);
    for (Eigen::Index i = 0; i < k; ++i) u(i) = stream.normal();
    u.normalize();
    for (int i = 0; i < 50; ++i) {
      const Vector next = contract_pair(t4, u) * u;
      if (!(next.norm() > 0)) break;
      u = next.normalized();
    }
    largest = std::max(largest, u.dot(contract_pair(t4, u) * u));
  }
  return largest;
}

}  // namespace

QuarticMoments population_quartic_moments(const Vector& weights, const Matrix& vectors) {
  if (weights.size() != vectors.cols()) user_error("{} weights do not fit {} vectors", weights.size(), vectors.cols());
  const Eigen::Index d = vectors.rows();
  QuarticMoments moments{vectors * weights.asDiagonal() * vectors.transpose(), Matrix::Zero(d * d, d * d)};
  for (Eigen::Index m = 0; m < weights.size(); ++m) {
    const Vector square = flat_square(vectors.col(m));
    moments.t4 += weights(m) * square * square.transpose();
  }
  return moments;
}

QuarticLoss::QuarticLoss(QuarticMoments moments, const QuarticLossOptions& options)
    : moments_(std::move(moments)), options_(options) {
  const Eigen::Index k = moments_.dimension();
  if (moments_.m2.cols() != k || moments_.t4.rows() != k * k || moments_.t4.cols() != k * k)
    user_error("the fourth moment of a {0} x {0} second moment must be {1} x {1}, not {2} x {3}", k, k * k,
               moments_.t4.rows(), moments_.t4.cols());
  if (!(options_.lambda > 0)) user_error("lambda must be above 0, not {}", options_.lambda);
  if (std::isnan(options_.mu)) {
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(moments_.m2);
    const Vector values = eigen.eigenvalues().cwiseMax(1e-3 * eigen.eigenvalues()(k - 1));
    if (!(values.minCoeff() > 0)) user_error("the second moment of the quartic loss has no positive eigenvalue");
    const Matrix whitener = eigen.eigenvectors() * values.cwiseSqrt().cwiseInverse().asDiagonal();
    const double largest = largest_form(transformed(moments_.t4, whitener), k);
    options_.mu = largest > 0 ? 0.25 * options_.lambda / largest : 0.0;
  }
}

double QuarticLoss::value(const Matrix& b, Matrix* gradient) const {
  const Eigen::Index rows = b.rows();
  const Eigen::Index k = dimension();
  if (b.cols() != k) user_error("the quartic loss works in {} dimensions, not {}", k, b.cols());
  std::vector<Matrix> pairs;  // T4(., ., b_j, b_j)
  Matrix sum = Matrix::Zero(k, k);
  for (Eigen::Index j = 0; j < rows; ++j) {
    pairs.push_back(contract_pair(moments_.t4, b.row(j).transpose()));
    sum += pairs.back();
  }
  double value = 0.5 * options_.delta * b.squaredNorm();
  if (gradient != nullptr) *gradient = options_.delta * b;
  for (Eigen::Index i = 0; i < rows; ++i) {
    const Vector u = b.row(i).transpose();
    const Matrix& own = pairs[static_cast<std::size_t>(i)];
    const Vector cross = sum * u - own * u;
    const Vector self = own * u;
    const Vector second = moments_.m2 * u;
    const double off = u.dot(second) - 1;
    value += u.dot(cross) - options_.mu * u.dot(self) + options_.lambda * off * off;
    if (gradient != nullptr)
      gradient->row(i) += (4 * cross - 4 * options_.mu * self + 4 * options_.lambda * off * second).transpose();
  }
  return value;
}

QuarticMinimum minimise(const QuarticLoss& loss, Matrix start, int max_iterations, double tolerance) {
  constexpr std::size_t kMemory = 10;
  constexpr double kArmijo = 1e-4;
  constexpr double kRunaway = 1e8;  // a bounded loss has entries of order 1 / sqrt(weight)
  struct Pair {
    Vector s, y;
    double rho;
  };
  std::deque<Pair> memory;
  QuarticMinimum result;
  result.b = std::move(start);
  Matrix gradient;
  result.loss = loss.value(result.b, &gradient);
  const auto flat = [](const Matrix& m) { return Eigen::Map<const Vector>(m.data(), m.size()); };
  for (; result.iterations < max_iterations; ++result.iterations) {
    if (gradient.cwiseAbs().maxCoeff() <= tolerance) {
      result.converged = true;
      break;
    }
    // Two-loop recursion.
    Vector direction = -flat(gradient);
    std::vector<double> alpha(memory.size());
    for (std::size_t i = memory.size(); i-- > 0;) {
      alpha[i] = memory[i].rho * memory[i].s.dot(direction);
      direction -= alpha[i] * memory[i].y;
    }
    if (!memory.empty()) direction *= memory.back().s.dot(memory.back().y) / memory.back().y.squaredNorm();
    for (std::size_t i = 0; i < memory.size(); ++i)
      direction += (alpha[i] - memory[i].rho * memory[i].y.dot(direction)) * memory[i].s;
    double slope = direction.dot(flat(gradient));
    if (!(slope < 0)) {
      memory.clear();
      direction = -flat(gradient);
      slope = -gradient.squaredNorm();
    }
    double length = memory.empty() ? std::min(1.0, 1.0 / direction.norm()) : 1.0;
    Matrix next, next_gradient;
    double value = 0;
    bool accepted = false;
    for (int halving = 0; halving < 50 && !accepted; ++halving, length *= 0.5) {
      next = result.b + length * Eigen::Map<const Matrix>(direction.data(), result.b.rows(), result.b.cols());
      value = loss.value(next, &next_gradient);
      // At the minimum the loss is flat to rounding while the gradient still shrinks: a gain of 0 is enough there.
      accepted = value <= result.loss + kArmijo * length * slope ||
                 (value <= result.loss + 1e-15 * (1 + std::abs(result.loss)) &&
                  next_gradient.squaredNorm() < gradient.squaredNorm());
    }
    if (!accepted) {
      if (memory.empty()) break;
      memory.clear();
      continue;
    }
    Pair pair{flat(next) - flat(result.b), flat(next_gradient) - flat(gradient), 0};
    const double curvature = pair.s.dot(pair.y);
    if (curvature > 1e-12 * pair.s.norm() * pair.y.norm()) {
      pair.rho = 1 / curvature;
      memory.push_back(std::move(pair));
      if (memory.size() > kMemory) memory.pop_front();
    }
    result.b = next;
    gradient = next_gradient;
    result.loss = value;
    if (!(result.b.cwiseAbs().maxCoeff() < kRunaway)) break;
  }
  return result;
}

Matrix directions_of(const Matrix& b) {
  if (b.rows() != b.cols()) user_error("the dual basis needs a square matrix, not {} x {}", b.rows(), b.cols());
  const Matrix inverse = b.transpose().completeOrthogonalDecomposition().pseudoInverse();
  return inverse.rowwise().normalized();
}

}  // namespace clearway
