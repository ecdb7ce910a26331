#include "clearway/stat/diagnosis.hpp"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include <Eigen/Cholesky>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kUnexplained = 0.05;  // chance that a right model leaves any row unexplained

// Two-sided tail probability of every row under one expert.
Vector expert_tail(const Expert& expert, const Data& data, bool discrete) {
  if (data.response.cols() > 1) {  // squared Mahalanobis distance: chi-square with m degrees of freedom
    const Eigen::LLT<Matrix> factor(expert.covariance());
    const Matrix residual = (data.response - expert.mean(data.expert_inputs, data.trials, data.offset)).transpose();
    const Vector distance = factor.matrixL().solve(residual).colwise().squaredNorm();
    return distance.unaryExpr(
        [&](double d) { return boost::math::gamma_q(0.5 * static_cast<double>(data.response.cols()), 0.5 * d); });
  }
  const Vector y = data.response.col(0);
  const Vector up_to = expert.distribution(y, data.expert_inputs, data.trials, data.offset);
  const Vector below =
      discrete ? expert.distribution(y.array() - 1, data.expert_inputs, data.trials, data.offset) : up_to;
  return (2 * up_to.array().min(1 - below.array())).min(1.0);
}

RowDiagnosis diagnose_rows(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                           std::int64_t seed) {
  RowDiagnosis rows;
  const Index n = data.rows();
  rows.mean = model.mean(data);
  const Matrix joint = model.joint_log_density(data);
  const Vector top = joint.rowwise().maxCoeff();
  rows.log_density = top.array() + (joint.colwise() - top).array().exp().rowwise().sum().log();
  const Matrix r = model.responsibilities(data);
  rows.responsibility.resize(n);
  for (Index t = 0; t < n; ++t) {
    Index best = 0;
    rows.responsibility(t) = r.row(t).maxCoeff(&best);
    rows.expert.push_back(static_cast<int>(best));
  }
  rows.entropy = -(r.array() * r.array().max(1e-300).log()).rowwise().sum();
  rows.tail = Vector::Constant(n, kUnknown);
  if (!has_class_response(model)) {
    rows.tail.setZero();
    for (const Expert& expert : model.experts)
      rows.tail = rows.tail.cwiseMax(expert_tail(expert, data, has_discrete_response(model)));
  }
  RandomStream stream(static_cast<std::uint64_t>(seed), 0);
  rows.residuals = quantile_residuals(model, data, stream);
  rows.influence = influence(data, model, fitted_with);
  return rows;
}

// The rows with the largest keys, NaN last.
std::vector<Index> largest(const Vector& keys, int count) {
  std::vector<Index> order(static_cast<std::size_t>(keys.size()));
  std::iota(order.begin(), order.end(), Index{0});
  std::erase_if(order, [&](Index t) { return std::isnan(keys(t)); });
  const auto most = std::min(order.size(), static_cast<std::size_t>(count));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(),
                    [&](Index a, Index b) { return keys(a) != keys(b) ? keys(a) > keys(b) : a < b; });
  order.resize(most);
  return order;
}

void warn(FitDiagnosis& diagnosis, const Data& data) {
  auto& warnings = diagnosis.warnings;
  const OptimumCheck& optimum = diagnosis.optimum;
  constexpr double kLargeScore = 1e-4;
  if (optimum.mean_score > kLargeScore)
    warnings.push_back(fmt::format(
        "The score is not zero (mean score {:.2g}): the model is not the optimum for these data. Influence and "
        "leverage assume that it is.",
        optimum.mean_score));
  if (optimum.flat)
    warnings.emplace_back(
        "The information is singular: some direction of the parameters is not identified (too many experts, a gate "
        "that separates, collinear inputs).");
  if (!diagnosis.optima.empty() && !diagnosis.optima.front().degenerate &&
      diagnosis.optima.front().log_likelihood > optimum.log_likelihood + 1e-4)
    warnings.push_back(
        fmt::format("A start ended at a higher log-likelihood ({:.4f}) than the model ({:.4f}): fit "
                    "again with more starts.",
                    diagnosis.optima.front().log_likelihood, optimum.log_likelihood));
  const double total = data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows());
  for (Index k = 0; k < diagnosis.effective_rows.size(); ++k)
    if (diagnosis.expert_rows(k) > 0 && diagnosis.effective_rows(k) < 10 && total > 20)
      warnings.push_back(
          fmt::format("Component {} rests on {:.3g} effective rows.", k + 1, diagnosis.effective_rows(k)));
}

}  // namespace

FitDiagnosis diagnose(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                      const DiagnosisOptions& options,
                      const std::function<void(double, const std::string&)>& progress) {
  check_options(options);
  data.check(model.experts.front().spec().kind);
  const auto report = [&](double fraction, const char* what) {
    if (progress) progress(fraction, what);
  };
  FitDiagnosis diagnosis;
  report(0.0, "rows");
  diagnosis.rows = diagnose_rows(data, model, fitted_with, options.seed);
  const RowDiagnosis& rows = diagnosis.rows;
  for (Index j = 0; j < rows.residuals.residual.cols(); ++j)
    diagnosis.normality.push_back(normality(rows.residuals.residual.col(j)));
  diagnosis.dispersion = dispersion(model, data);
  diagnosis.rootogram = rootogram(model, data);

  const Vector w = data.weights.size() ? Vector(data.weights) : Vector::Ones(data.rows());
  const Matrix r = model.responsibilities(data);
  diagnosis.expert_rows = r.transpose() * w;
  diagnosis.effective_rows = r.cwiseAbs2().transpose() * w;
  for (Index t = 0; t < data.rows(); ++t)
    if (rows.tail(t) < kUnexplained / static_cast<double>(data.rows())) diagnosis.unexplained.push_back(t);
  diagnosis.largest_residuals = largest(rows.residuals.residual.cwiseAbs().rowwise().maxCoeff(), options.top);
  diagnosis.most_influential = largest(rows.influence.cook_parameters, options.top);

  report(0.2, "optimum");
  diagnosis.optimum = check_optimum(data, model, fitted_with, options.seed);
  report(0.3, "leaving rows out");
  diagnosis.deletions =
      delete_rows(data, model, fitted_with, rows.influence, diagnosis.most_influential, options.threads);
  if (options.map_starts > 0) {
    report(0.6, "starts");
    diagnosis.optima = optimum_map(data, model, fitted_with, options.map_starts, options.seed, options.threads);
  }
  warn(diagnosis, data);
  return diagnosis;
}

}  // namespace clearway
