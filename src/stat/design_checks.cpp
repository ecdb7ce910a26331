#include "design_checks.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway::detail {

namespace {

constexpr double kUnexplained = 1e-10;
constexpr double kVisibleCoefficient = 1e-4;
constexpr std::size_t kMostSentences = 5;

/// Correlations of the columns, d x d, in blocks of rows so that no copy of x is made.
Matrix correlations(const Matrix& x) {
  constexpr Eigen::Index kRows = 1024;
  const Eigen::Index n = x.rows();
  const Eigen::RowVectorXd centre = x.colwise().mean();
  Matrix sums = Matrix::Zero(x.cols(), x.cols());
  Matrix block;
  for (Eigen::Index start = 0; start < n; start += kRows) {
    block = x.middleRows(start, std::min(kRows, n - start)).rowwise() - centre;
    sums.selfadjointView<Eigen::Lower>().rankUpdate(block.transpose());
  }
  const Vector scale = sums.diagonal().cwiseMax(std::numeric_limits<double>::min()).cwiseSqrt().cwiseInverse();
  return scale.asDiagonal() * Matrix(sums.selfadjointView<Eigen::Lower>()) * scale.asDiagonal();
}

}  // namespace

void refuse_constant_columns(const Matrix& x, const std::vector<std::string>& names, std::string_view option) {
  if (x.rows() < 2) return;
  for (Eigen::Index j = 0; j < x.cols(); ++j)
    if ((x.col(j).array() == x(0, j)).all())
      user_error("{}: '{}' is {} in all {} rows used; leave it out (--exclude), the intercept is always there", option,
                 names[static_cast<std::size_t>(j)], x(0, j), x.rows());
}

std::vector<std::string> collinear_columns(const Matrix& x, const std::vector<std::string>& names,
                                           std::string_view option) {
  std::vector<std::string> sentences;
  const Eigen::Index d = x.cols();
  if (d == 0 || x.rows() < 2) return sentences;
  const Matrix r = correlations(x);
  // Cholesky factor of the independent columns, grown one row at a time; row i of `factor` belongs to column kept[i].
  Matrix factor = Matrix::Zero(d, d);
  std::vector<Eigen::Index> kept;
  std::size_t more = 0;
  for (Eigen::Index j = 0; j < d; ++j) {
    const auto m = static_cast<Eigen::Index>(kept.size());
    Vector with_kept(m);
    for (Eigen::Index i = 0; i < m; ++i) with_kept[i] = r(kept[static_cast<std::size_t>(i)], j);
    const auto lower = factor.topLeftCorner(m, m).triangularView<Eigen::Lower>();
    const Vector row = lower.solve(with_kept);
    const double unexplained = r(j, j) - row.squaredNorm();
    if (unexplained > kUnexplained) {
      factor.row(m).head(m) = row.transpose();
      factor(m, m) = std::sqrt(unexplained);
      kept.push_back(j);
      continue;
    }
    if (sentences.size() == kMostSentences) {
      ++more;
      continue;
    }
    const Vector coefficients = lower.transpose().solve(row);
    std::vector<std::string> others;
    for (Eigen::Index i = 0; i < m; ++i)
      if (std::fabs(coefficients[i]) > kVisibleCoefficient)
        others.push_back(fmt::format("'{}'", names[static_cast<std::size_t>(kept[static_cast<std::size_t>(i)])]));
    sentences.push_back(
        fmt::format("{}: '{}' is a linear combination of {} and the intercept in the rows used, so its own coefficient "
                    "is not determined.",
                    option, names[static_cast<std::size_t>(j)], short_list(others)));
  }
  if (more > 0) sentences.push_back(fmt::format("{}: so are {}.", option, plural(more, "other column")));
  return sentences;
}

}  // namespace clearway::detail
