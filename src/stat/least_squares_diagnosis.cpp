#include "least_squares_diagnosis.hpp"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "regression_function.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kFlat = 1e-8;  // singular values of unit columns below this share of the largest
constexpr double kSteep = 10;   // a standardised gate coefficient from which a gate may be a step
constexpr double kLarge = 100;  // the same for a coefficient of an expert
constexpr double kSame = 1e-3;  // difference of means relative to the standard deviation of the response

// "expert 1: x1 - 0.5 * expert 2: x1": the leading entries of a direction, scaled to a largest entry of 1.
std::string direction_text(const Vector& direction, const std::vector<std::string>& names) {
  std::vector<Index> order(static_cast<std::size_t>(direction.size()));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return std::abs(direction(a)) > std::abs(direction(b)); });
  const double largest = direction(order.front());
  constexpr std::size_t kTerms = 4;
  std::string text;
  std::size_t terms = 0;
  for (const Index i : order) {
    const double share = direction(i) / largest;
    if (std::abs(share) < 0.1) break;
    if (terms == kTerms) {
      text += " and others";
      break;
    }
    const std::string name = "(" + names[static_cast<std::size_t>(i)] + ")";
    if (terms == 0)
      text = name;
    else
      text += fmt::format(" {} {:.2g} {}", share > 0 ? "+" : "-", std::abs(share), name);
    ++terms;
  }
  return terms == 1 ? "the parameter " + text : "the combination " + text;
}

}  // namespace

LeastSquaresDiagnosis diagnose(const LeastSquaresProblem& problem, const MixtureModel& model) {
  LeastSquaresDiagnosis found;
  const Matrix factor = problem.factor(model);
  const Index p = factor.cols() - 1;
  if (p == 0 || !factor.allFinite()) return found;
  const std::vector<RegressionParameter>& parameters = problem.parameters();
  const Vector length = factor.leftCols(p).colwise().norm();
  const double none = kNoInfluence * std::sqrt(problem.total_weight());
  const Matrix unit = factor.leftCols(p) * length.cwiseMax(none).cwiseInverse().asDiagonal();
  const Eigen::BDCSVD<Matrix> svd(unit, Eigen::ComputeThinV);
  const Vector& s = svd.singularValues();

  Index free_gate = 0;
  for (const RegressionParameter& q : parameters) free_gate += q.gate ? 1 : 0;
  const Index redundant = std::max<Index>(0, free_gate - model.gate.degrees_of_freedom());
  const Index determined = std::max<Index>(1, p - redundant);
  found.rank = static_cast<int>((s.array() > kFlat * s(0)).count());
  found.smallest_singular_value = s(determined - 1);
  found.condition = s(determined - 1) > 0 ? s(0) / s(determined - 1) : std::numeric_limits<double>::infinity();

  const auto numbered = [](int count) {  // not "x1", which may be the name of another column
    std::vector<std::string> inputs;
    for (int i = 1; i <= count; ++i) inputs.push_back(fmt::format("input {}", i));
    return inputs;
  };
  const std::vector<std::string> names = regression_parameter_names(model, parameters, numbered(model.gate.inputs()),
                                                                    numbered(model.experts.front().inputs()));
  for (Index i = std::min<Index>(found.rank, p - 1); i < determined; ++i)
    if (s(i) <= kFlat * s(0)) found.flat_directions.push_back(direction_text(svd.matrixV().col(i), names));

  const double variance = factor.col(p).squaredNorm() / problem.total_weight();
  for (Index j = 0; j < p; ++j) {
    const RegressionParameter& q = parameters[static_cast<std::size_t>(j)];
    const double value = std::abs(q.gate ? model.gate.parameters()(q.index)
                                         : model.experts[static_cast<std::size_t>(q.expert)].parameters()(q.index));
    if (value <= (q.gate ? kSteep : kLarge)) continue;
    double inverse = 0;
    for (Index i = 0; i < s.size(); ++i) inverse += std::pow(svd.matrixV()(j, i) / std::max(s(i), 1e-150), 2);
    const double error = std::sqrt(variance * inverse) / std::max(length(j), none);
    bool& flag = q.gate ? found.gate_separated : found.expert_diverges;
    flag = flag || !(value > error);
  }
  return found;
}

std::vector<std::string> coinciding_experts(const MixtureModel& model, const Data& data, const Scaling& scaling) {
  constexpr Index kRows = 4096;
  std::vector<Index> rows;
  const Index step = std::max<Index>(1, data.rows() / kRows);
  for (Index i = 0; i < data.rows(); i += step) rows.push_back(i);
  const Data sample = data.subset(rows);
  std::vector<std::string> sentences;
  const int k = model.expert_count(), m = static_cast<int>(data.response.cols());
  Matrix largest = Matrix::Zero(k, k);
  for (int j = 0; j < m; ++j) {
    const Matrix means = expert_means(model, sample, j) / scaling.response_deviation(j);
    for (int a = 0; a < k; ++a)
      for (int b = a + 1; b < k; ++b)
        largest(a, b) = std::max(largest(a, b), std::sqrt((means.col(a) - means.col(b)).cwiseAbs2().mean()));
  }
  for (int a = 0; a < k; ++a)
    for (int b = a + 1; b < k; ++b)
      if (largest(a, b) < kSame)
        sentences.push_back(fmt::format(
            "Experts {} and {} have the same mean (to {:.2g} standard deviations of the response): their gate "
            "coefficients are not determined, and one expert less fits as well.",
            a + 1, b + 1, largest(a, b)));
  return sentences;
}

}  // namespace clearway::detail
