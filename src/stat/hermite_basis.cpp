#include "hermite_basis.hpp"

#include <Eigen/Cholesky>

#include "clearway/stat/row_sums.hpp"

namespace clearway::detail {
namespace {

void extend(std::vector<std::vector<int>>& list, std::vector<int>& prefix, int variables, int left) {
  if (left == 0) {
    list.push_back(prefix);
    return;
  }
  for (int i = prefix.empty() ? 0 : prefix.back(); i < variables; ++i) {
    prefix.push_back(i);
    extend(list, prefix, variables, left - 1);
    prefix.pop_back();
  }
}

struct RegressionSums {
  Matrix gram;
  Vector right;
  RegressionSums& operator+=(const RegressionSums& other) {
    gram += other.gram;
    right += other.right;
    return *this;
  }
};

}  // namespace

HermiteBasis::HermiteBasis(Eigen::Index variables, int degree) : variables_(variables), degree_(degree) {
  std::vector<int> prefix;
  for (int m = 0; m <= degree; ++m) extend(indices_, prefix, static_cast<int>(variables), m);
}

Eigen::Index HermiteBasis::count(Eigen::Index variables, int degree) {
  Eigen::Index size = 1;
  for (int m = 1; m <= degree; ++m) size = size * (variables + m) / m;
  return size;
}

double HermiteBasis::factorial(Eigen::Index c) const {
  double value = 1;
  int run = 0;
  const std::vector<int>& list = indices(c);
  for (std::size_t i = 0; i < list.size(); ++i) {
    run = i > 0 && list[i] == list[i - 1] ? run + 1 : 1;
    value *= run;
  }
  return value;
}

void HermiteBasis::evaluate(const Matrix& p, Matrix& values) const {
  // One-dimensional polynomials first: table[e] holds He_e of every variable.
  std::vector<Matrix> table(static_cast<std::size_t>(degree_) + 1);
  table[0] = Matrix::Ones(p.rows(), variables_);
  if (degree_ > 0) table[1] = p;
  for (std::size_t e = 2; e < table.size(); ++e)
    table[e] = p.cwiseProduct(table[e - 1]) - static_cast<double>(e - 1) * table[e - 2];
  values.resize(p.rows(), size());
  for (Eigen::Index c = 0; c < size(); ++c) {
    const std::vector<int>& list = indices(c);
    values.col(c).setOnes();
    for (std::size_t i = 0; i < list.size();) {
      std::size_t end = i;
      while (end < list.size() && list[end] == list[i]) ++end;
      values.col(c).array() *= table[end - i].col(list[i]).array();
      i = end;
    }
  }
}

Vector hermite_moments_of(const Matrix& x, const Vector& x_mean, const Matrix& projection, const ConstVectorRef& v,
                          double v_mean, const Vector& slope, const HermiteBasis& basis, bool regress, int threads) {
  const Eigen::Index size = basis.size();
  const RegressionSums zero{regress ? Matrix::Zero(size, size) : Matrix(), Vector::Zero(size)};
  const RegressionSums sums =
      sum_over_rows(x.rows(), threads, size * (regress ? size : 1), zero,
                    [&](RegressionSums& sum, Eigen::Index first, Eigen::Index count) {
                      const Matrix centred = x.middleRows(first, count).rowwise() - x_mean.transpose();
                      const Matrix p = centred * projection;
                      Matrix values;
                      basis.evaluate(p, values);
                      const Vector residual = (v.segment(first, count).array() - v_mean).matrix() - centred * slope;
                      if (regress) sum.gram.selfadjointView<Eigen::Lower>().rankUpdate(values.transpose());
                      sum.right.noalias() += values.transpose() * residual;
                    });
  if (!regress) return sums.right / static_cast<double>(x.rows());
  const Matrix gram = sums.gram.selfadjointView<Eigen::Lower>();
  Vector moments = gram.ldlt().solve(sums.right);
  for (Eigen::Index c = 0; c < size; ++c) moments(c) *= basis.factorial(c);
  return moments;
}

}  // namespace clearway::detail
