#include "clearway/train/fusion_ensemble.hpp"

#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/core/abstention.hpp"
#include "clearway/core/ensemble.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "clearway/train/tensor_rows.hpp"

namespace clearway::train {
namespace {

using fusion::TargetKind;

/// log(p / (1 - p)) with p held away from 0 and 1.
double logit(double p) {
  const double safe = std::clamp(p, 1e-12, 1 - 1e-12);
  return std::log(safe) - std::log1p(-safe);
}

std::vector<int> classes_of(const Matrix& target) {
  std::vector<int> out;
  out.reserve(static_cast<std::size_t>(target.rows()));
  for (Eigen::Index i = 0; i < target.rows(); ++i) out.push_back(static_cast<int>(target(i, 0)));
  return out;
}

}  // namespace

FusionEnsemble::FusionEnsemble(const deep::FusionOptions& options, std::vector<fusion::ModalityShape> modalities,
                               const fusion::PreparedTarget& target)
    : options_(options), modalities_(std::move(modalities)), target_(target) {
  target_.values.clear();
  calibration_ = Matrix::Zero(target_.outputs(), 2);
  calibration_.col(0).setOnes();
}

std::shared_ptr<deep::FusionModel> FusionEnsemble::new_model(std::uint64_t seed) const {
  torch::manual_seed(seed);
  return std::make_shared<deep::FusionModel>(options_, modalities_, model_outputs(target_));
}

FusionPrediction FusionEnsemble::predict(const FusionTensors& samples, const std::vector<std::int64_t>& rows,
                                         const torch::Tensor& present, bool raw) const {
  if (members_.empty()) user_error("there is no trained model to predict with");
  if (rows.empty()) user_error("there are no samples to predict");
  const torch::Tensor wanted = row_tensor(rows);
  const auto n = static_cast<Eigen::Index>(rows.size());
  const Eigen::Index outputs = target_.outputs();
  const auto count = static_cast<double>(members_.size());
  FusionPrediction out;
  out.kind = target_.kind;
  out.mean = Matrix::Zero(n, outputs);
  out.disagreement = Vector::Zero(n);
  Matrix variance = Matrix::Zero(n, outputs);
  std::vector<Matrix> members;
  for (const auto& member : members_) {
    const torch::Tensor output = fusion_outputs(*member, samples, wanted, present);
    Matrix mean;
    switch (target_.kind) {
      case TargetKind::binary:
      case TargetKind::multilabel:
        mean = to_matrix(output.to(at::kDouble).sigmoid());
        break;
      case TargetKind::multiclass:
        mean = to_matrix(output.to(at::kDouble).softmax(1));
        break;
      case TargetKind::regression: {
        mean = to_matrix(output.narrow(1, 0, outputs));
        Matrix sd = to_matrix(output.narrow(1, outputs, outputs).clamp(-6, 6).exp());
        for (Eigen::Index j = 0; j < outputs; ++j) {
          const auto k = static_cast<std::size_t>(j);
          mean.col(j) = (mean.col(j).array() * target_.scale[k] + target_.centre[k]).matrix();
          sd.col(j) *= target_.scale[k];
        }
        variance += sd.cwiseAbs2() / count;
        break;
      }
    }
    out.mean += mean / count;
    members.push_back(std::move(mean));
  }
  // Squares of differences, not differences of squares: means may be large and nearly equal.
  for (const Matrix& mean : members) variance += (mean - out.mean).cwiseAbs2() / count;
  out.deviation = variance.cwiseSqrt();
  if (target_.kind != TargetKind::regression && members.size() > 1)
    out.disagreement = (target_.kind == TargetKind::multiclass ? class_ensemble(members) : label_ensemble(members))
                           .mutual_information.rowwise()
                           .sum();
  if (!raw && calibrated_) apply_calibration(out);
  return out;
}

void FusionEnsemble::apply_calibration(FusionPrediction& prediction) const {
  switch (target_.kind) {
    case TargetKind::binary:
    case TargetKind::multilabel:
      for (Eigen::Index j = 0; j < prediction.mean.cols(); ++j)
        prediction.mean.col(j) =
            event_probability(prediction.mean.col(j).unaryExpr(&logit), calibration_(j, 0), calibration_(j, 1));
      break;
    case TargetKind::multiclass:
      prediction.mean = class_probability(prediction.mean.array().max(1e-12).log().matrix(), calibration_(0, 0));
      break;
    case TargetKind::regression:
      for (Eigen::Index j = 0; j < prediction.deviation.cols(); ++j) prediction.deviation.col(j) *= calibration_(j, 0);
      break;
  }
}

Matrix FusionEnsemble::targets(const FusionTensors& samples, const std::vector<std::int64_t>& rows) const {
  if (!samples.target().defined()) user_error("the samples have no outcomes to compare with");
  Matrix out = to_matrix(samples.target().index_select(0, row_tensor(rows)));
  if (target_.kind == TargetKind::regression)
    for (Eigen::Index j = 0; j < out.cols(); ++j) {
      const auto k = static_cast<std::size_t>(j);
      out.col(j) = (out.col(j).array() * target_.scale[k] + target_.centre[k]).matrix();
    }
  return out;
}

void FusionEnsemble::calibrate(const FusionTensors& samples, const std::vector<std::int64_t>& rows, double level,
                               double risk) {
  const FusionPrediction raw = predict(samples, rows, {}, true);
  const Matrix target = targets(samples, rows);
  notes_.clear();
  level_ = level;
  const auto note = [&](const std::string& text) {
    if (!text.empty()) notes_.push_back(text);
  };
  for (Eigen::Index j = 0; j < target_.outputs(); ++j) {
    if (target_.kind == TargetKind::multiclass && j > 0) break;
    std::vector<Eigen::Index> known;
    const Eigen::Index column = target_.kind == TargetKind::multiclass ? 0 : j;
    for (Eigen::Index i = 0; i < target.rows(); ++i)
      if (std::isfinite(target(i, column))) known.push_back(i);
    if (known.size() < 2) {
      note("too few validation samples have an outcome to calibrate by");
      continue;
    }
    const Vector truth = target.col(column)(known);
    if (target_.kind == TargetKind::regression) {
      calibration_(j, 0) = fit_deviation_scale(raw.mean.col(j)(known), raw.deviation.col(j)(known), truth);
    } else if (target_.kind == TargetKind::multiclass) {
      const TemperatureFit fit =
          fit_class_temperature(raw.mean.array().max(1e-12).log().matrix()(known, Eigen::all), classes_of(truth));
      calibration_(0, 0) = fit.temperature;
      note(fit.note);
    } else {
      const PlattFit fit = fit_platt(raw.mean.col(j)(known).unaryExpr(&logit), truth);
      note(fit.note);
      // A slope that turns the order around says that validation samples know nothing: left as it was.
      if (fit.slope > 0) {
        calibration_(j, 0) = fit.slope;
        calibration_(j, 1) = fit.intercept;
      }
    }
  }
  calibrated_ = true;
  FusionPrediction prediction = raw;
  apply_calibration(prediction);
  thresholds_ = choose_thresholds(prediction, target);
  quantiles_.clear();
  const std::vector<int> there = modalities_there(samples, rows);
  const double alpha = std::round(1e12 * (1 - level)) / 1e12;  // 0.1 and not 0.09999999999999998
  if (target_.kind == TargetKind::regression) {
    for (Eigen::Index j = 0; j < target_.outputs(); ++j)
      quantiles_.push_back(fit_conformal(
          residual_scores(prediction.mean.col(j), target.col(j), prediction.deviation.col(j)), alpha, there));
  } else if (target_.kind != TargetKind::multilabel) {
    const std::vector<int> truth = classes_of(target);
    const Matrix probability = class_columns(prediction);
    quantiles_.push_back(
        fit_conformal(scores_of_classes(class_conformity(ClassScore::lac, probability), truth), alpha, there));
    abstain_below_ = 0;
    if (risk > 0) {
      const std::vector<int> best = top_class(probability);
      Vector right(probability.rows());
      for (Eigen::Index i = 0; i < right.size(); ++i)
        right(i) = best[static_cast<std::size_t>(i)] == truth[static_cast<std::size_t>(i)] ? 1 : 0;
      const auto chosen = threshold_for_risk(risk_coverage(probability.rowwise().maxCoeff(), right), risk);
      abstain_below_ = chosen ? chosen->threshold : 2;
      if (!chosen)
        note(fmt::format("no threshold keeps the share of wrong answers below {}: every prediction abstains", risk));
    }
  }
  for (const ConformalQuantiles& q : quantiles_) note(q.note);
}

Flags FusionEnsemble::sets(const FusionPrediction& prediction, std::span<const int> there) const {
  if (quantiles_.size() != 1 || target_.kind == TargetKind::regression)
    user_error("there are conformal sets for an event and for classes only");
  return prediction_sets(class_conformity(ClassScore::lac, class_columns(prediction)),
                         quantiles_.front().of_rows(there));
}

PredictionIntervals FusionEnsemble::intervals(const FusionPrediction& prediction, Eigen::Index output,
                                              std::span<const int> there) const {
  if (target_.kind != TargetKind::regression || output >= static_cast<Eigen::Index>(quantiles_.size()))
    user_error("there are conformal intervals for numbers only");
  return conformal_intervals(prediction.mean.col(output), quantiles_[static_cast<std::size_t>(output)].of_rows(there),
                             prediction.deviation.col(output));
}

Json FusionEnsemble::calibration_json() const {
  Json parameters = Json::array();
  for (Eigen::Index j = 0; j < calibration_.rows(); ++j)
    parameters.push_back(Json::array({calibration_(j, 0), calibration_(j, 1)}));
  Json quantiles = Json::array();
  for (const ConformalQuantiles& q : quantiles_) {
    Json groups = Json::array();
    for (const auto& [group, value] : q.by_group)
      groups.push_back({{"modalities", group}, {"quantile", json_number_or_null(value)}});
    quantiles.push_back(
        {{"rows", q.rows}, {"quantile", json_number_or_null(q.pooled)}, {"by_modalities", std::move(groups)}});
  }
  return {{"calibrated", calibrated_},
          {"level", level_},
          {"parameters", std::move(parameters)},
          {"thresholds", std::vector<double>(thresholds_.begin(), thresholds_.end())},
          {"conformal", std::move(quantiles)},
          {"abstain_below", abstain_below_}};
}

void FusionEnsemble::load_calibration(const Json& json, const std::string& source) {
  JsonObject object(json, source);
  calibrated_ = object.boolean("calibrated");
  level_ = object.number("level");
  const Json& parameters = object.at("parameters");
  if (!parameters.is_array() || static_cast<Eigen::Index>(parameters.size()) != calibration_.rows())
    user_error("{}: parameters: must be one pair per output, {}", source, calibration_.rows());
  for (Eigen::Index j = 0; j < calibration_.rows(); ++j) {
    const Json& pair = parameters[static_cast<std::size_t>(j)];
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number())
      user_error("{}: parameters[{}]: must be two numbers", source, j);
    calibration_(j, 0) = pair[0].get<double>();
    calibration_(j, 1) = pair[1].get<double>();
  }
  const std::vector<double> thresholds = object.numbers("thresholds");
  if (!thresholds.empty() && static_cast<Eigen::Index>(thresholds.size()) != target_.outputs())
    user_error("{}: thresholds: must be one number per output, {}, or none", source, target_.outputs());
  thresholds_ = Eigen::Map<const Vector>(thresholds.data(), static_cast<Eigen::Index>(thresholds.size()));
  quantiles_.clear();
  // An infinite quantile (too few samples) is written as null.
  const auto quantile = [](const Json& value, const std::string& where) {
    if (value.is_null()) return std::numeric_limits<double>::infinity();
    if (!value.is_number()) user_error("{}: must be a number or null", where);
    return value.get<double>();
  };
  for (JsonObject& entry : object.objects("conformal")) {
    ConformalQuantiles q;
    q.alpha = 1 - level_;
    q.rows = entry.integer("rows", 0, std::int64_t{1} << 40);
    q.pooled = quantile(entry.at("quantile"), entry.where("quantile"));
    for (JsonObject& group : entry.objects("by_modalities")) {
      const auto number = static_cast<int>(group.integer("modalities", 0, 1'000'000));
      q.by_group[number] = quantile(group.at("quantile"), group.where("quantile"));
      group.finish();
    }
    entry.finish();
    quantiles_.push_back(std::move(q));
  }
  abstain_below_ = object.number("abstain_below");
  object.finish();
}

Matrix class_columns(const FusionPrediction& prediction) {
  if (prediction.kind != TargetKind::binary) return prediction.mean;
  Matrix out(prediction.mean.rows(), 2);
  out.col(1) = prediction.mean.col(0);
  out.col(0) = (1 - prediction.mean.col(0).array()).matrix();
  return out;
}

std::vector<int> modalities_there(const FusionTensors& samples, const std::vector<std::int64_t>& rows,
                                  const torch::Tensor& present) {
  const torch::Tensor counts = (present.defined() ? present : samples.present().index_select(0, row_tensor(rows)))
                                   .sum(1)
                                   .to(at::kLong)
                                   .contiguous();
  const std::int64_t* first = counts.data_ptr<std::int64_t>();
  return {first, first + counts.size(0)};
}

}  // namespace clearway::train
