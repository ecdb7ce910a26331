#include "clearway/stat/tensor_decomposition.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "clearway/base/errors.hpp"

namespace clearway {

SymmetricTensor3::SymmetricTensor3(Eigen::Index dimension)
    : dimension_(dimension), unfolded_(Matrix::Zero(dimension, dimension * dimension)) {}

void SymmetricTensor3::set(Eigen::Index a, Eigen::Index b, Eigen::Index c, double value) {
  const Eigen::Index k = dimension_;
  unfolded_(a, b + k * c) = unfolded_(a, c + k * b) = unfolded_(b, a + k * c) = value;
  unfolded_(b, c + k * a) = unfolded_(c, a + k * b) = unfolded_(c, b + k * a) = value;
}

void SymmetricTensor3::add_rank_one(double weight, const Vector& v) {
  for (Eigen::Index c = 0; c < dimension_; ++c)
    unfolded_.middleCols(c * dimension_, dimension_).noalias() += (weight * v(c)) * (v * v.transpose());
}

void SymmetricTensor3::subtract_symmetrised(const Vector& m, const Matrix& g) {
  for (Eigen::Index c = 0; c < dimension_; ++c)
    unfolded_.middleCols(c * dimension_, dimension_) -= m * g.col(c).transpose() + g.col(c) * m.transpose() + m(c) * g;
}

Vector SymmetricTensor3::contract(const Vector& u, const Vector& v) const {
  Vector result = Vector::Zero(dimension_);
  for (Eigen::Index c = 0; c < dimension_; ++c)
    result.noalias() += v(c) * (unfolded_.middleCols(c * dimension_, dimension_) * u);
  return result;
}

SymmetricTensor3 SymmetricTensor3::transformed(const Matrix& d) const {
  const Eigen::Index k = dimension_;
  const Eigen::Index r = d.cols();
  // Slices T(., ., c) become D' T_c D; then the last index is contracted.
  Matrix slices(r * r, k);
  for (Eigen::Index c = 0; c < k; ++c) {
    const Matrix slice = d.transpose() * unfolded_.middleCols(c * k, k) * d;
    slices.col(c) = Eigen::Map<const Vector>(slice.data(), r * r);
  }
  SymmetricTensor3 result(r);
  Eigen::Map<Matrix>(result.unfolded_.data(), r * r, r).noalias() = slices * d;
  return result;
}

namespace {

Vector random_direction(Eigen::Index k, RandomStream& stream) {
  Vector u(k);
  do {
    for (Eigen::Index i = 0; i < k; ++i) u(i) = stream.normal();
  } while (u.norm() < 1e-6);
  return u.normalized();
}

/// u <- T(., u, u) / |.| for a number of iterations, or until u stands still.
void power_iterate(const SymmetricTensor3& tensor, int iterations, Vector& u) {
  for (int i = 0; i < iterations; ++i) {
    const Vector next = tensor.contract(u, u);
    const double length = next.norm();
    if (!(length > 0)) return;
    const Vector previous = u;
    u = next / length;
    if ((u - previous).squaredNorm() < 1e-30) return;
  }
}

double relative_residual(SymmetricTensor3 tensor, const Matrix& vectors, const Vector& weights) {
  const double size = tensor.norm();
  for (Eigen::Index i = 0; i < vectors.cols(); ++i) tensor.add_rank_one(-weights(i), vectors.col(i));
  return size > 0 ? tensor.norm() / size : 0.0;
}

void order_by_weight(RankOneTerms& terms) {
  std::vector<Eigen::Index> order(static_cast<std::size_t>(terms.weights.size()));
  std::iota(order.begin(), order.end(), Eigen::Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Eigen::Index i, Eigen::Index j) { return terms.weights(i) > terms.weights(j); });
  const RankOneTerms old = terms;
  for (std::size_t i = 0; i < order.size(); ++i) {
    terms.vectors.col(static_cast<Eigen::Index>(i)) = old.vectors.col(order[i]);
    terms.weights(static_cast<Eigen::Index>(i)) = old.weights(order[i]);
  }
}

RankOneTerms decompose_by_power(const Vector& m2, const SymmetricTensor3& t3, const DecompositionOptions& options) {
  const Vector root = m2.cwiseSqrt();
  const SymmetricTensor3 whitened = t3.transformed(Matrix(root.cwiseInverse().asDiagonal()));
  Vector values;
  const Matrix v = tensor_power_method(whitened, options, values);
  RankOneTerms terms;
  terms.residual = relative_residual(whitened, v, values);
  // lambda = w^(-1/2) and a = lambda diag(m2^(1/2)) v. A term that is all noise has lambda near 0: keep its direction.
  const double least = 1e-3 * values.cwiseAbs().maxCoeff();
  terms.usable = values.allFinite() && values.minCoeff() > least;
  values = values.cwiseMax(std::max(least, std::numeric_limits<double>::min()));
  terms.vectors = root.asDiagonal() * v * values.asDiagonal();
  terms.weights = values.array().square().inverse();
  return terms;
}

/// Unit factors A by A <- T_(1) (A khatri-rao A): first with A orthogonalised before every step, then plain least
/// squares steps. Returns the residual.
double als_from(const SymmetricTensor3& tensor, int iterations, Matrix& a, Vector& weights) {
  const Eigen::Index k = tensor.dimension();
  Matrix product(k, k);
  const auto gram = [&] { return Matrix((a.transpose() * a).array().square()); };
  for (int i = 0; i < 2 * iterations; ++i) {
    const bool orthogonalise = i < iterations;
    if (orthogonalise) a = Eigen::HouseholderQR<Matrix>(a).householderQ() * Matrix::Identity(k, k);
    for (Eigen::Index j = 0; j < k; ++j) product.col(j) = tensor.contract(a.col(j), a.col(j));
    if (!orthogonalise)
      product = gram().completeOrthogonalDecomposition().solve(product.transpose()).transpose().eval();
    for (Eigen::Index j = 0; j < k; ++j) {
      const double length = product.col(j).norm();
      if (length > 0) a.col(j) = product.col(j) / length;
    }
  }
  Vector forms(k);
  for (Eigen::Index j = 0; j < k; ++j) forms(j) = tensor.form(a.col(j));
  const Matrix cubes = (a.transpose() * a).array().cube();
  weights = cubes.completeOrthogonalDecomposition().solve(forms);
  for (Eigen::Index j = 0; j < k; ++j)
    if (weights(j) < 0) {
      weights(j) = -weights(j);
      a.col(j) = -a.col(j);
    }
  return relative_residual(tensor, a, weights);
}

RankOneTerms decompose_by_als(const Vector& m2, const SymmetricTensor3& t3, const DecompositionOptions& options) {
  const Eigen::Index k = m2.size();
  RankOneTerms terms;
  terms.residual = std::numeric_limits<double>::infinity();
  Matrix directions;
  Vector cubic_weights;
  for (int start = 0; start < std::max(1, options.starts / 5); ++start) {
    RandomStream stream(options.seed, static_cast<std::uint64_t>(start));
    Matrix a(k, k);
    for (Eigen::Index j = 0; j < k; ++j) a.col(j) = random_direction(k, stream);
    Vector weights;
    const double residual = als_from(t3, options.iterations, a, weights);
    if (residual < terms.residual) {
      terms.residual = residual;
      directions = a;
      cubic_weights = weights;
    }
  }
  // T3 gives w r^3 per direction, M2 gives w r^2 (least squares over the k rank-one matrices): hence r and w.
  const Matrix cosines = directions.transpose() * directions;
  const Vector right = (directions.array().square().matrix().transpose() * m2);
  const Vector square_weights = Matrix(cosines.array().square()).completeOrthogonalDecomposition().solve(right);
  terms.vectors.resize(k, k);
  terms.weights.resize(k);
  const double least = 1e-3 * square_weights.cwiseAbs().maxCoeff();
  for (Eigen::Index j = 0; j < k; ++j) {
    const double square = std::max(square_weights(j), least);
    const double cubic = std::max(cubic_weights(j), 1e-3 * cubic_weights.maxCoeff());
    terms.usable = terms.usable && square_weights(j) > least && cubic_weights(j) > 0;
    const double length = cubic / square;
    terms.vectors.col(j) = directions.col(j) * length;
    terms.weights(j) = square / (length * length);
  }
  terms.usable = terms.usable && terms.vectors.allFinite() && terms.weights.allFinite();
  return terms;
}

}  // namespace

Matrix tensor_power_method(SymmetricTensor3 tensor, const DecompositionOptions& options, Vector& values) {
  const Eigen::Index k = tensor.dimension();
  Matrix vectors(k, k);
  values.resize(k);
  for (Eigen::Index term = 0; term < k; ++term) {
    Vector best = Vector::Unit(k, term);
    double best_form = -std::numeric_limits<double>::infinity();
    for (int start = 0; start < std::max(1, options.starts); ++start) {
      RandomStream stream(options.seed,
                          static_cast<std::uint64_t>(term) * 1000003u + static_cast<std::uint64_t>(start));
      Vector u = random_direction(k, stream);
      power_iterate(tensor, options.iterations, u);
      const double form = tensor.form(u);
      if (form > best_form) {
        best_form = form;
        best = u;
      }
    }
    power_iterate(tensor, options.iterations, best);
    values(term) = tensor.form(best);
    vectors.col(term) = best;
    tensor.add_rank_one(-values(term), best);
  }
  return vectors;
}

RankOneTerms decompose(const Vector& m2, const SymmetricTensor3& t3, const DecompositionOptions& options) {
  if (m2.size() != t3.dimension())
    user_error("the matrix has {} rows but the tensor has dimension {}", m2.size(), t3.dimension());
  if (m2.size() < 1 || !(m2.minCoeff() > 0)) user_error("decompose needs positive eigenvalues of the second moment");
  RankOneTerms terms = options.method == DecompositionMethod::power ? decompose_by_power(m2, t3, options)
                                                                    : decompose_by_als(m2, t3, options);
  order_by_weight(terms);
  return terms;
}

RankOneTerms decompose(const Matrix& m2, const SymmetricTensor3& t3, Eigen::Index k,
                       const DecompositionOptions& options) {
  if (m2.rows() != m2.cols() || m2.rows() != t3.dimension())
    user_error("the matrix is {} x {} but the tensor has dimension {}", m2.rows(), m2.cols(), t3.dimension());
  if (k < 1 || k > m2.rows()) user_error("experts must be from 1 to the dimension {}, not {}", m2.rows(), k);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(m2);
  const Matrix u = eigen.eigenvectors().rightCols(k);
  RankOneTerms terms = decompose(Vector(eigen.eigenvalues().tail(k)), t3.transformed(u), options);
  terms.vectors = u * terms.vectors;
  return terms;
}

}  // namespace clearway
