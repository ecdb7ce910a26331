#include "clearway/stat/moments.hpp"

#include <Spectra/MatOp/DenseSymMatProd.h>
#include <Spectra/SymEigsSolver.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/stat/row_sums.hpp"
#include "hermite_basis.hpp"

namespace clearway {
namespace {

struct InputSums {
  Vector x, v;
  Matrix xx, xv;
  InputSums& operator+=(const InputSums& other) {
    x += other.x;
    v += other.v;
    xx += other.xx;
    xv += other.xv;
    return *this;
  }
};

struct SecondSums {
  Matrix m2;
  double square = 0, fourth = 0;
  Vector cubic;
  SecondSums& operator+=(const SecondSums& other) {
    m2 += other.m2;
    square += other.square;
    fourth += other.fourth;
    cubic += other.cubic;
    return *this;
  }
};

/// Residual of v on [1, z] for the rows of one block, z given.
Vector residual_block(const Matrix& v, Eigen::Index column, const InputMoments& inputs, Eigen::Index first,
                      const Matrix& z) {
  return (v.col(column).segment(first, z.rows()).array() - inputs.v_mean(column)).matrix() -
         z * inputs.v_slope.col(column);
}

/// Whether least squares on a basis of that size is worth its Gram matrix and safe with that many rows.
bool regression_fits(Eigen::Index columns, Eigen::Index rows) {
  constexpr Eigen::Index kMostColumns = 300;
  return columns <= kMostColumns && rows >= 10 * columns;
}

struct TensorSums {
  std::vector<Matrix> cubes;  ///< per component, k x k^2
  Matrix firsts;              ///< k x C: sum of weight * s
  TensorSums& operator+=(const TensorSums& other) {
    for (std::size_t c = 0; c < cubes.size(); ++c) cubes[c] += other.cubes[c];
    firsts += other.firsts;
    return *this;
  }
};

void add_cube(const Matrix& s, const Vector& weight, Matrix& cube) {
  const Eigen::Index k = s.cols();
  for (Eigen::Index c = 0; c < k; ++c)
    cube.middleCols(c * k, k).noalias() +=
        s.transpose() * (weight.array() * s.col(c).array()).matrix().asDiagonal() * s;
}

/// The score tensors of a mixture.
SymmetricTensor3 third_moment_by_scores(const Matrix& x, const Matrix& v, Eigen::Index column,
                                        const InputMoments& inputs, const Matrix& u, const GaussianMixture& scores,
                                        int threads) {
  const Eigen::Index k = u.cols();
  const std::size_t components = scores.components.size();
  const TensorSums zero{std::vector<Matrix>(components, Matrix::Zero(k, k * k)),
                        Matrix::Zero(k, static_cast<Eigen::Index>(components))};
  const TensorSums sums =
      detail::sum_over_rows(x.rows(), threads, static_cast<Eigen::Index>(components) * k * k * k, zero,
                            [&](TensorSums& sum, Eigen::Index first, Eigen::Index count) {
                              const Matrix z = inputs.whitening.apply(x.middleRows(first, count));
                              const Vector residual = residual_block(v, column, inputs, first, z);
                              const Matrix r = scores.responsibilities(z);
                              for (std::size_t c = 0; c < components; ++c) {
                                const GaussianComponent& component = scores.components[c];
                                const Vector weight = residual.cwiseProduct(r.col(static_cast<Eigen::Index>(c)));
                                const Matrix s = (z.rowwise() - component.mean.transpose()) * (component.precision * u);
                                add_cube(s, weight, sum.cubes[c]);
                                sum.firsts.col(static_cast<Eigen::Index>(c)).noalias() += s.transpose() * weight;
                              }
                            });
  SymmetricTensor3 tensor(k);
  for (std::size_t c = 0; c < components; ++c) {
    SymmetricTensor3 part(k);
    part.unfolded() = sums.cubes[c];
    part.subtract_symmetrised(sums.firsts.col(static_cast<Eigen::Index>(c)),
                              u.transpose() * scores.components[c].precision * u);
    tensor.unfolded() += part.unfolded();
  }
  tensor.unfolded() /= static_cast<double>(x.rows());
  return tensor;
}

/// Hermite moments of the residual of v in U'z, for every polynomial of the basis.
Vector projected_moments(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs,
                         const Matrix& u, const detail::HermiteBasis& basis, int threads) {
  return detail::hermite_moments_of(x, inputs.whitening.mean, inputs.whitening.forward * u, v.col(column),
                                    inputs.v_mean(column), inputs.whitening.forward * inputs.v_slope.col(column), basis,
                                    regression_fits(basis.size(), x.rows()), threads);
}

}  // namespace

InputMoments input_moments(const Matrix& x, const Matrix& v, int threads) {
  if (x.rows() != v.rows()) user_error("the inputs have {} rows but the response has {}", x.rows(), v.rows());
  if (x.rows() < 2) user_error("the spectral method needs at least 2 rows, not {}", x.rows());
  const Eigen::Index d = x.cols();
  // Sums around the first rows' mean, so that inputs far from 0 lose no digits.
  const Eigen::Index few = std::min<Eigen::Index>(x.rows(), 64);
  const Eigen::RowVectorXd x_shift = x.topRows(few).colwise().mean();
  const Eigen::RowVectorXd v_shift = v.topRows(few).colwise().mean();
  const InputSums zero{Vector::Zero(d), Vector::Zero(v.cols()), Matrix::Zero(d, d), Matrix::Zero(d, v.cols())};
  InputSums sums = detail::sum_over_rows(x.rows(), threads, d * (d + v.cols()), zero,
                                         [&](InputSums& sum, Eigen::Index first, Eigen::Index count) {
                                           const Matrix xb = x.middleRows(first, count).rowwise() - x_shift;
                                           const Matrix vb = v.middleRows(first, count).rowwise() - v_shift;
                                           sum.x.noalias() += xb.colwise().sum().transpose();
                                           sum.v.noalias() += vb.colwise().sum().transpose();
                                           sum.xx.selfadjointView<Eigen::Lower>().rankUpdate(xb.transpose());
                                           sum.xv.noalias() += xb.transpose() * vb;
                                         });
  const double n = static_cast<double>(x.rows());
  const Vector x_mean = sums.x / n;
  const Vector v_mean = sums.v / n;
  Matrix covariance = Matrix(sums.xx.selfadjointView<Eigen::Lower>()) / n - x_mean * x_mean.transpose();
  const Matrix cross = sums.xv / n - x_mean * v_mean.transpose();

  InputMoments result;
  result.whitening.mean = x_mean + x_shift.transpose();
  result.v_mean = v_mean + v_shift.transpose();
  // A column whose spread is mere rounding of its size counts as constant.
  Vector deviation = covariance.diagonal().cwiseMax(0).cwiseSqrt();
  Vector inverse = Vector::Zero(d);
  for (Eigen::Index j = 0; j < d; ++j) {
    if (deviation(j) > 1e-12 * std::abs(result.whitening.mean(j)) && deviation(j) > 0)
      inverse(j) = 1 / deviation(j);
    else
      deviation(j) = 0;
  }
  const Matrix correlation = inverse.asDiagonal() * covariance * inverse.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(correlation);
  const Vector& values = eigen.eigenvalues();
  const double least = 1e-10 * std::max(values.size() > 0 ? values(values.size() - 1) : 0.0, 0.0);
  Eigen::Index rank = 0;
  for (Eigen::Index j = 0; j < values.size(); ++j) rank += values(j) > least ? 1 : 0;
  const Vector root = values.tail(rank).cwiseSqrt();
  const Matrix basis = eigen.eigenvectors().rightCols(rank);
  result.whitening.forward = inverse.asDiagonal() * basis * root.cwiseInverse().asDiagonal();
  result.whitening.backward = root.asDiagonal() * basis.transpose() * deviation.asDiagonal();
  result.v_slope = result.whitening.forward.transpose() * cross;
  return result;
}

SecondMoment second_moment(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs,
                           const GaussianMixture* scores, int threads) {
  const Eigen::Index r = inputs.whitening.rank();
  const SecondSums zero{Matrix::Zero(r, r), 0, 0, Vector::Zero(r)};
  SecondSums sums = detail::sum_over_rows(
      x.rows(), threads, r * r, zero, [&](SecondSums& sum, Eigen::Index first, Eigen::Index count) {
        const Matrix z = inputs.whitening.apply(x.middleRows(first, count));
        const Vector residual = residual_block(v, column, inputs, first, z);
        const Vector length = z.rowwise().squaredNorm();
        sum.square += residual.squaredNorm();
        sum.fourth += length.squaredNorm();
        sum.cubic.noalias() += z.transpose() * length;
        if (scores == nullptr) {
          sum.m2.noalias() += z.transpose() * residual.asDiagonal() * z;
          return;
        }
        const Matrix weights = scores->responsibilities(z);
        for (std::size_t c = 0; c < scores->components.size(); ++c) {
          const GaussianComponent& component = scores->components[c];
          const Vector weight = residual.cwiseProduct(weights.col(static_cast<Eigen::Index>(c)));
          const Matrix s = (z.rowwise() - component.mean.transpose()) * component.precision;
          sum.m2.noalias() += s.transpose() * weight.asDiagonal() * s;
          sum.m2 -= weight.sum() * component.precision;
        }
      });
  const double n = static_cast<double>(x.rows());
  const double rank = static_cast<double>(r);
  SecondMoment result;
  result.m2 = 0.5 * (sums.m2 + sums.m2.transpose()) / n;  // the residual has mean 0, so that nothing is left of -I
  result.residual_sd = std::sqrt(sums.square / n);
  if (r > 0) {
    const double expected = rank * (rank + 2);
    result.kurtosis_ratio = sums.fourth / n / expected;
    result.kurtosis_z = (sums.fourth / n - expected) / std::sqrt(8 * expected / n);
    const double chi_square = (sums.cubic / n).squaredNorm() * n / (2 * (rank + 2));
    result.skewness_z = (chi_square - rank) / std::sqrt(2 * rank);
  }
  return result;
}

SymmetricTensor3 third_moment(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs,
                              const Matrix& u, const GaussianMixture* scores, int threads) {
  if (scores != nullptr) return third_moment_by_scores(x, v, column, inputs, u, *scores, threads);
  const detail::HermiteBasis basis(u.cols(), 3);
  const Vector moments = projected_moments(x, v, column, inputs, u, basis, threads);
  SymmetricTensor3 tensor(u.cols());
  for (Eigen::Index c = 0; c < basis.size(); ++c)
    if (const std::vector<int>& i = basis.indices(c); i.size() == 3) tensor.set(i[0], i[1], i[2], moments(c));
  return tensor;
}

Matrix fourth_moment(const Matrix& x, const Matrix& v, Eigen::Index column, const InputMoments& inputs, const Matrix& u,
                     int threads) {
  const Eigen::Index k = u.cols();
  const detail::HermiteBasis basis(k, 4);
  const Vector moments = projected_moments(x, v, column, inputs, u, basis, threads);
  Matrix tensor(k * k, k * k);
  for (Eigen::Index c = 0; c < basis.size(); ++c) {
    std::vector<int> i = basis.indices(c);
    if (i.size() != 4) continue;
    do {
      tensor(i[0] + k * i[1], i[2] + k * i[3]) = moments(c);
    } while (std::next_permutation(i.begin(), i.end()));
  }
  return tensor;
}

TopEigen top_eigen(const Matrix& symmetric, Eigen::Index k) {
  const Eigen::Index r = symmetric.rows();
  if (k < 1 || k > r) user_error("experts must be from 1 to the number of independent inputs {}, not {}", r, k);
  constexpr Eigen::Index kDenseLimit = 150;
  TopEigen top;
  if (r > kDenseLimit && 3 * k < r) {
    Spectra::DenseSymMatProd<double> product(symmetric);
    Spectra::SymEigsSolver<Spectra::DenseSymMatProd<double>> solver(
        product, k, std::min<Eigen::Index>(r, std::max<Eigen::Index>(4 * k + 10, 40)));
    solver.init();
    solver.compute(Spectra::SortRule::LargestAlge, 500, 1e-10, Spectra::SortRule::LargestAlge);
    if (solver.info() == Spectra::CompInfo::Successful) {
      top.values = solver.eigenvalues();
      top.vectors = solver.eigenvectors();
      return top;
    }
  }
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(symmetric);
  top.values = eigen.eigenvalues().tail(k).reverse();
  top.vectors = eigen.eigenvectors().rightCols(k).rowwise().reverse();
  return top;
}

}  // namespace clearway
