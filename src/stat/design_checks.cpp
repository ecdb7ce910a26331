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
Matrix correlations(const ConstMatrixRef& x) {
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

/// Numbers of the columns that are no linear combination of columns before them and the intercept. Every other column j
/// goes to dependent(j, kept so far, its coefficients on their standardised forms).
template <class Dependent>
std::vector<Eigen::Index> independent_columns(const Matrix& x, const Dependent& dependent) {
  const Eigen::Index d = x.cols();
  std::vector<Eigen::Index> kept;
  if (d == 0 || x.rows() < 2) return kept;
  const Matrix r = correlations(x);
  // Cholesky factor of the independent columns, grown one row at a time; row i of `factor` belongs to column kept[i].
  Matrix factor = Matrix::Zero(d, d);
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
    } else {
      dependent(j, kept, Vector(lower.transpose().solve(row)));
    }
  }
  return kept;
}

/// Linear functions of the inputs in an expert.
int linear_predictors(const Expert& expert) {
  switch (expert.spec().kind) {
    case ExpertKind::constant:
      return 0;
    case ExpertKind::multinomial:
    case ExpertKind::conditional_logit:
      return expert.classes() - 1;
    case ExpertKind::network:
      return expert.spec().hidden;
    case ExpertKind::heteroscedastic:
      return 2;
    default:
      return expert.responses();
  }
}

}  // namespace

void refuse_constant_columns(const ConstMatrixRef& x, const std::vector<std::string>& names, std::string_view option) {
  if (x.rows() < 2) return;
  for (Eigen::Index j = 0; j < x.cols(); ++j)
    if ((x.col(j).array() == x(0, j)).all())
      user_error("{}: '{}' is {} in all {} rows used; leave it out (--exclude), the intercept is always there", option,
                 names[static_cast<std::size_t>(j)], x(0, j), x.rows());
}

std::vector<std::string> collinear_columns(const ConstMatrixRef& x, const std::vector<std::string>& names,
                                           std::string_view option) {
  std::vector<std::string> sentences;
  std::size_t more = 0;
  independent_columns(x, [&](Eigen::Index j, const std::vector<Eigen::Index>& kept, const Vector& coefficients) {
    if (sentences.size() == kMostSentences) {
      ++more;
      return;
    }
    std::vector<std::string> others;
    for (std::size_t i = 0; i < kept.size(); ++i)
      if (std::fabs(coefficients[static_cast<Eigen::Index>(i)]) > kVisibleCoefficient)
        others.push_back(fmt::format("'{}'", names[static_cast<std::size_t>(kept[i])]));
    sentences.push_back(
        fmt::format("{}: '{}' is a linear combination of {} and the intercept in the rows used, so its own coefficient "
                    "is not determined, and no parameter (df).",
                    option, names[static_cast<std::size_t>(j)], short_list(others)));
  });
  if (more > 0) sentences.push_back(fmt::format("{}: so are {}.", option, plural(more, "other column")));
  return sentences;
}

int undetermined_parameters(const MixtureModel& model, const Data& data) {
  if (!model.constraints.empty() || data.rows() < 2) return 0;
  const auto missing = [](const Matrix& x) {
    const auto none = [](Eigen::Index, const std::vector<Eigen::Index>&, const Vector&) {};
    return static_cast<int>(x.cols()) - static_cast<int>(independent_columns(x, none).size());
  };
  int count = 0;
  // What attributes determine depends on all alternatives together; here only the other inputs are looked at.
  const auto plain = data.expert_inputs.cols() - Eigen::Index{data.attributes} * data.classes;
  const bool all = plain == data.expert_inputs.cols();  // then no copy is made
  if (const int m = all ? missing(data.expert_inputs) : missing(data.expert_inputs.leftCols(plain)); m > 0)
    for (const Expert& expert : model.experts) count += m * linear_predictors(expert);
  const GateKind gate = model.gate.spec().kind;
  const bool linear = gate == GateKind::softmax || gate == GateKind::sigmoid;
  if (linear && model.gate.spec().transform == GateTransform::none && model.expert_count() > 1)
    if (const int m = missing(data.gate_inputs); m > 0)
      count += m * (gate == GateKind::softmax ? model.expert_count() - 1 : model.expert_count());
  return count;
}

}  // namespace clearway::detail
