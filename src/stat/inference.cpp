#include "clearway/stat/inference.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/least_squares.hpp"
#include "clearway/stat/model_values.hpp"
#include "inference_parameters.hpp"
#include "inference_sums.hpp"
#include "inference_validity.hpp"
#include "probability.hpp"

namespace clearway {
namespace {

using namespace detail;
using Eigen::Index;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kOfTheForm = 1e-6;  // relative distance of covariances to their form that is rounding
constexpr Index kRowsAtOnce = Index{1} << 18;
constexpr double kStepFraction = 1e-2;  // of a standard error: steps of numeric derivatives of the report

void check(const Data& data, const InferenceOptions& options, const std::vector<int>& clusters) {
  check_options(options);
  const bool clustered = options.standard_errors == StandardErrorKind::cluster;
  if (clustered && static_cast<Index>(clusters.size()) != data.rows())
    user_error("standard errors by cluster need the cluster of every row: {} for {} rows", clusters.size(),
               data.rows());
  if (clustered && std::all_of(clusters.begin(), clusters.end(), [&](int c) { return c == clusters.front(); }))
    user_error("standard errors by cluster need at least 2 clusters");
}

// The ridge on gate coefficients: its gradient and curvature in the free parameters. It was laid on coefficients
// relative to the expert that was last while fitting, which may have another place now.
void add_ridge(const MixtureModel& standard, const ParameterMap& map, const FitResult& result, double total_weight,
               Vector& score, Matrix& information) {
  const Gate& gate = standard.gate;
  const Index block = gate.block_size(), k = gate.experts();
  if (!(result.gate_ridge > 0) || block < 2) return;
  const double strength = result.gate_ridge * total_weight;
  const int reference = gate_reference(gate) >= 0 ? result.ridge_reference : -1;
  const auto free_of = [&](Index expert, Index c) { return map.gate[static_cast<std::size_t>(expert * block + c)]; };
  for (Index j = 0; j < k; ++j)
    for (Index c = 1; c < block; ++c) {
      const int f = free_of(j, c);
      const int g = reference >= 0 && reference != j ? free_of(reference, c) : -1;
      if (reference == j) continue;
      const double base = reference >= 0 ? gate.parameters()(reference * block + c) : 0.0;
      const double value = gate.parameters()(j * block + c) - base;
      if (f >= 0) {
        score(f) -= strength * value;
        information(f, f) += strength;
      }
      if (g >= 0) {
        score(g) += strength * value;
        information(g, g) += strength;
      }
      if (f >= 0 && g >= 0) {
        information(f, g) -= strength;
        information(g, f) -= strength;
      }
    }
}

class Inferrer {
 public:
  Inferrer(const FitResult& result, const ModelNames& names, const InferenceOptions& options)
      : result_(result), names_(names), options_(options) {
    inference_.kind = options_.standard_errors;
    inference_.level = options_.level;
  }

  Inference run(const InferenceSums& sums) {
    shares_ = sums.shares();
    table();
    if (options_.standard_errors != StandardErrorKind::none) covariances(sums);
    return std::move(inference_);
  }

  Inference run(const Data& data, const std::vector<int>& clusters, int threads) {
    shares_ = Shares{Vector(), Matrix::Zero(0, model_parameters(result_.model).size())};
    if (result_.model.gate.block_size() > 0 && result_.model.expert_count() > 1)
      shares_ = gate_shares(result_.model, data, threads);
    table();
    if (options_.standard_errors == StandardErrorKind::none) return std::move(inference_);
    if (!result_.trimmed_rows.empty()) {
      withhold_all(
          {ValidityProblem::not_at_maximum,
           "rows were trimmed: the estimate is not that of the likelihood of all rows; see clearway bootstrap."});
      return std::move(inference_);
    }
    if (result_.model.form == ModelForm::regression) {
      regression_covariances(data);
      return std::move(inference_);
    }
    InferenceSums sums(result_, Scaling(data, result_.model), options_.standard_errors, threads);
    if (!sums.too_many_parameters()) add_rows(data, clusters, sums);
    covariances(sums);
    return std::move(inference_);
  }

 private:
  // Large tables in parts, so that no second copy of them is made. Every part is a systematic sample: what only the first one
  // tells (merge losses) it tells of all rows, in whatever order they are. Groups and clusters are not cut.
  static void add_rows(const Data& data, const std::vector<int>& clusters, InferenceSums& sums) {
    const Index parts = data.groups.empty() && clusters.empty() ? (data.rows() + kRowsAtOnce - 1) / kRowsAtOnce : 1;
    if (parts == 1) return sums.add(data, clusters);
    std::vector<Index> rows;
    for (Index part = 0; part < parts; ++part) {
      rows.clear();
      for (Index t = part; t < data.rows(); t += parts) rows.push_back(t);
      sums.add(data.subset(rows), {});
    }
  }

  void table() {
    ReportedParameters reported = reported_parameters(result_.model, names_, shares_.values);
    const auto size = reported.values.size();
    inference_.names = std::move(reported.names);
    inference_.labels = std::move(reported.labels);
    inference_.parts = std::move(reported.parts);
    inference_.experts = std::move(reported.experts);
    scales_ = std::move(reported.scales);
    inference_.estimates = reported.values;
    for (Vector* column :
         {&inference_.standard_errors, &inference_.z, &inference_.p, &inference_.lower, &inference_.upper})
      *column = Vector::Constant(size, kNan);
    inference_.finding_of.assign(static_cast<std::size_t>(size), -1);
    inference_.fixed.assign(static_cast<std::size_t>(size), false);
    const std::vector<bool> fixed = fixed_values(result_.model);  // in the order of the table: experts, gate, noise
    std::copy_n(fixed.begin(), std::min(fixed.size(), inference_.fixed.size()), inference_.fixed.begin());
  }

  void withhold_all(ValidityFinding finding) {
    for (int i = 0; i < inference_.size(); ++i) finding.parameters.push_back(i);
    inference_.findings = {std::move(finding)};
    std::fill(inference_.finding_of.begin(), inference_.finding_of.end(), 0);
  }

  void covariances(const InferenceSums& sums) {
    const ParameterMap& map = sums.map();
    const MixtureModel& standard = sums.standard();
    if (sums.too_many_parameters())
      return withhold_all({ValidityProblem::too_many_parameters,
                           fmt::format("the model has {} parameters, too many for an information matrix.", map.size)});
    if (sums.chart() && sums.at_floor().empty() && !(sums.chart()->distance() < kOfTheForm))
      return withhold_all({ValidityProblem::common_covariance,
                           fmt::format("the covariances of the experts are not of the form {} (an expert without rows "
                                       "keeps the one it had), so the estimate is none of that model.",
                                       enum_name(standard.experts.front().spec().covariance))});
    Vector score = sums.score();
    Matrix information = sums.information();
    add_ridge(standard, map, result_, sums.total_weight(), score, information);
    const Vector free = sums.free();
    const auto gate_parameters = std::count_if(map.gate.begin(), map.gate.end(), [](int f) { return f >= 0; });
    const int surplus = std::max(0, static_cast<int>(gate_parameters) - standard.gate.degrees_of_freedom());
    const InvertedInformation inverted = invert_information(information, map, free, sums.total_weight(), surplus);
    Vector active_score = Vector::Zero(map.size);
    for (const int f : inverted.active) active_score(f) = score(f);
    inference_.newton_decrement = active_score.dot(inverted.inverse * active_score);
    inference_.condition_number = inverted.condition_number;
    const std::vector<std::string> stacked = stacked_names(result_.model, names_);
    const std::vector<std::string> free_names = names_of_free(map, stacked, sums.chart());
    if (!inverted.active.empty()) inference_.flat_direction = direction_in_words(inverted.flattest, free_names);

    Matrix covariance = inverted.inverse;
    if (options_.standard_errors != StandardErrorKind::observed)
      covariance = inverted.inverse * sums.crossproduct() * inverted.inverse;
    const Matrix to_stacked = sums.to_stacked();
    inference_.model_covariance = to_stacked * covariance * to_stacked.transpose();
    const Vector steps = kStepFraction * inference_.model_covariance.diagonal().cwiseMax(0.0).cwiseSqrt();
    const Matrix to_report = reported_from_stacked(result_.model, names_, shares_, steps);
    inference_.covariance = to_report * inference_.model_covariance * to_report.transpose();
    inference_.standard_errors = inference_.covariance.diagonal().cwiseMax(0.0).cwiseSqrt();

    inference_.findings = find_problems({result_, standard, map, sums.chart(), sums.at_floor(), inverted, sums.merges(),
                                         inference_, stacked, free_names, inference_.newton_decrement});
    for (std::size_t d = 0; d < inference_.findings.size(); ++d)
      for (const int i : inference_.findings[d].parameters) {
        int& of = inference_.finding_of[static_cast<std::size_t>(i)];
        if (of < 0) of = static_cast<int>(d);
      }
    fill();
  }

  // Least squares: the covariance of the regression function's parameters, and of the residual deviation
  // var(log s) = (kurtosis - 1) / (4 n), which needs no normal noise.
  void regression_covariances(const Data& data) {
    if (options_.standard_errors == StandardErrorKind::cluster)
      user_error("standard errors by cluster are for maximum likelihood, not for least squares");
    const MixtureModel& model = result_.model;
    const RegressionCovariance found = least_squares_covariance(model, data,
                                                                options_.standard_errors == StandardErrorKind::sandwich
                                                                    ? RegressionCovarianceKind::misspecified
                                                                    : RegressionCovarianceKind::classical);
    inference_.condition_number = found.condition;
    inference_.least_squares = true;
    if (!result_.converged)
      return withhold_all({ValidityProblem::not_at_maximum, "the fit did not converge: no theory applies."});
    if (!found.trustworthy) return withhold_all({ValidityProblem::not_identified, found.reason});
    std::vector<Index> place;
    for (const RegressionParameter& p : found.parameters)
      place.push_back(p.gate ? p.index : stacked_offset(model, static_cast<std::size_t>(p.expert)) + p.index);
    const Index size = model_parameters(model).size();
    Matrix& covariance = inference_.model_covariance = Matrix::Zero(size, size);
    covariance(place, place) = found.covariance;
    if (model.experts.front().responses() == 1) {
      const double variance = log_deviation_variance(data);
      std::vector<Index> noise;
      for (std::size_t k = 0; k < model.experts.size(); ++k)
        noise.push_back(stacked_offset(model, k) + model.experts[k].parameters().size() - 1);
      for (const Index i : noise)
        for (const Index j : noise) covariance(i, j) = variance;  // one number, kept with every expert
    }
    const Vector steps = kStepFraction * covariance.diagonal().cwiseMax(0.0).cwiseSqrt();
    const Matrix to_report = reported_from_stacked(model, names_, shares_, steps);
    inference_.covariance = to_report * covariance * to_report.transpose();
    inference_.standard_errors = inference_.covariance.diagonal().cwiseMax(0.0).cwiseSqrt();
    if (model.experts.front().responses() > 1)
      withhold(ParameterPart::spread, ValidityProblem::noise_estimate,
               "the residual covariance of a vector response has no standard errors.");
    if (result_.gate_separated)
      withhold(ParameterPart::gate, ValidityProblem::gate_separated,
               "the gate turns into a step; its coefficients are held by a weak ridge alone.");
    fill();
  }

  double log_deviation_variance(const Data& data) const {
    const Vector e = data.response.col(0) - result_.model.mean(data).col(0);
    const Vector w = data.weights.size() ? data.weights : Vector::Ones(e.size());
    const double n = w.sum(), second = w.dot(e.cwiseAbs2()) / n;
    return std::max(0.0, w.dot(e.array().pow(4).matrix()) / n / (second * second) - 1) / (4 * n);
  }

  void withhold(ParameterPart part, ValidityProblem problem, std::string sentence) {
    ValidityFinding finding{problem, std::move(sentence), {}};
    for (int i = 0; i < inference_.size(); ++i)
      if (inference_.parts[static_cast<std::size_t>(i)] == part) finding.parameters.push_back(i);
    for (const int i : finding.parameters)
      inference_.finding_of[static_cast<std::size_t>(i)] = static_cast<int>(inference_.findings.size());
    inference_.findings.push_back(std::move(finding));
  }

  void fill() {
    const double quantile = normal_quantile(0.5 + 0.5 * inference_.level);
    bool any = false;
    for (int i = 0; i < inference_.size(); ++i) {
      if (!inference_.valid(i)) {
        inference_.standard_errors(i) = kNan;
        inference_.covariance.row(i).setConstant(kNan);
        inference_.covariance.col(i).setConstant(kNan);
        continue;
      }
      if (inference_.fixed[static_cast<std::size_t>(i)]) {
        inference_.standard_errors(i) = kNan;
        continue;
      }
      any = true;
      const double estimate = inference_.estimates(i), error = inference_.standard_errors(i);
      std::tie(inference_.lower(i), inference_.upper(i)) =
          interval(estimate, error, quantile, scales_[static_cast<std::size_t>(i)]);
      const ParameterPart part = inference_.parts[static_cast<std::size_t>(i)];
      if ((part == ParameterPart::expert || part == ParameterPart::gate) && error > 0) {
        inference_.z(i) = estimate / error;
        inference_.p(i) = two_sided_normal_tail(inference_.z(i));
      }
    }
    if (!any) inference_.model_covariance.resize(0, 0);
  }

  const FitResult& result_;
  const ModelNames& names_;
  const InferenceOptions& options_;
  Shares shares_;
  std::vector<IntervalScale> scales_;
  Inference inference_;
};

}  // namespace

int Inference::index(const std::string& name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) user_error("there is no parameter '{}'{}", name, did_you_mean(name, names));
  return static_cast<int>(found - names.begin());
}

Inference detail::infer_from_sums(const FitResult& result, const ModelNames& names, const InferenceOptions& options,
                                  const InferenceSums& sums) {
  check_options(options);
  return Inferrer(result, names, options).run(sums);
}

Inference infer(const Data& data, const FitResult& result, const ModelNames& names, const InferenceOptions& options,
                const std::vector<int>& clusters, int threads) {
  if (result.reason == StopReason::not_fitted) user_error("inference needs a fit, and this one has not run yet");
  check(data, options, clusters);
  const auto begin = std::chrono::steady_clock::now();
  Inference inference = Inferrer(result, names, options).run(data, clusters, threads);
  inference.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return inference;
}

}  // namespace clearway
