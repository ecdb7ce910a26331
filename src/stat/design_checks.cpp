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

/// Numbers of the columns that are no linear combination of columns before them and the intercept, by the correlations r of
/// all. Every other column j goes to dependent(j, kept so far, its coefficients on their standardised forms).
template <class Dependent>
std::vector<Eigen::Index> independent_columns(const Matrix& r, const Dependent& dependent) {
  const Eigen::Index d = r.cols();
  std::vector<Eigen::Index> kept;
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
  ColumnMoments moments;
  moments.add(x);
  independent_columns(
      moments.correlations(), [&](Eigen::Index j, const std::vector<Eigen::Index>& kept, const Vector& coefficients) {
        if (sentences.size() == kMostSentences) {
          ++more;
          return;
        }
        std::vector<std::string> others;
        for (std::size_t i = 0; i < kept.size(); ++i)
          if (std::fabs(coefficients[static_cast<Eigen::Index>(i)]) > kVisibleCoefficient)
            others.push_back(fmt::format("'{}'", names[static_cast<std::size_t>(kept[i])]));
        sentences.push_back(fmt::format(
            "{}: '{}' is a linear combination of {} and the intercept in the rows used, so its own coefficient "
            "is not determined, and no parameter (df).",
            option, names[static_cast<std::size_t>(j)], short_list(others)));
      });
  if (more > 0) sentences.push_back(fmt::format("{}: so are {}.", option, plural(more, "other column")));
  return sentences;
}

void ColumnMoments::add(const ConstMatrixRef& x) {
  constexpr Eigen::Index kRows = 1024;  // at once, so that no copy of x is made
  if (x.cols() == 0) return;
  if (rows_ == 0) {
    mean_.setZero(x.cols());
    sums_.setZero(x.cols(), x.cols());
  }
  Matrix block;
  for (Eigen::Index start = 0; start < x.rows(); start += kRows) {
    const Eigen::Index n = std::min(kRows, x.rows() - start);
    const Eigen::RowVectorXd centre = x.middleRows(start, n).colwise().mean();
    block = x.middleRows(start, n).rowwise() - centre;
    sums_.selfadjointView<Eigen::Lower>().rankUpdate(block.transpose());
    // Two parts with different means (Chan, Golub and LeVeque 1983, Am. Stat. 37, eq. 2.1).
    const Eigen::RowVectorXd step = centre - mean_;
    const auto before = static_cast<double>(rows_), all = static_cast<double>(rows_ + n);
    sums_.selfadjointView<Eigen::Lower>().rankUpdate(step.transpose(), before * static_cast<double>(n) / all);
    mean_ += step * (static_cast<double>(n) / all);
    rows_ += n;
  }
}

Matrix ColumnMoments::correlations() const {
  if (rows_ < 2) return Matrix::Identity(sums_.rows(), sums_.cols());
  const Vector scale = sums_.diagonal().cwiseMax(std::numeric_limits<double>::min()).cwiseSqrt().cwiseInverse();
  return scale.asDiagonal() * Matrix(sums_.selfadjointView<Eigen::Lower>()) * scale.asDiagonal();
}

int ColumnMoments::dependent() const {
  const auto none = [](Eigen::Index, const std::vector<Eigen::Index>&, const Vector&) {};
  return static_cast<int>(sums_.cols()) - static_cast<int>(independent_columns(correlations(), none).size());
}

// What attributes determine depends on all alternatives together; only the other inputs are looked at.
void UndeterminedParameters::add(const Data& data) {
  experts_.add(data.expert_inputs.leftCols(data.expert_inputs.cols() - Eigen::Index{data.attributes} * data.classes));
  gate_.add(data.gate_inputs);
}

int UndeterminedParameters::count(const MixtureModel& model) const {
  if (!model.constraints.empty()) return 0;
  int count = 0;
  if (const int m = experts_.dependent(); m > 0)
    for (const Expert& expert : model.experts) count += m * linear_predictors(expert);
  const GateKind gate = model.gate.spec().kind;
  const bool linear = gate == GateKind::softmax || gate == GateKind::sigmoid;
  if (linear && model.gate.spec().transform == GateTransform::none && model.expert_count() > 1)
    if (const int m = gate_.dependent(); m > 0)
      count += m * (gate == GateKind::softmax ? model.expert_count() - 1 : model.expert_count());
  return count;
}

int undetermined_parameters(const MixtureModel& model, const Data& data) {
  if (!model.constraints.empty()) return 0;
  UndeterminedParameters undetermined;
  undetermined.add(data);
  return undetermined.count(model);
}

}  // namespace clearway::detail
