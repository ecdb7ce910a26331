#include "scaling.hpp"

#include <algorithm>
#include <cmath>

namespace clearway::detail {
namespace {

using Eigen::Index;

double weighted_deviation(const ConstVectorRef& x, const Vector& weights, double mean, double total) {
  double squares = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const double e = x(i) - mean;
    squares += (weights.size() ? weights(i) : 1.0) * e * e;
  }
  return std::sqrt(squares / total);
}

double total_weight(const Matrix& a, const Vector& weights) {
  return weights.size() ? weights.sum() : static_cast<double>(a.rows());
}

void moments(const Matrix& a, const Vector& weights, Vector& centre, Vector& scale) {
  const Index d = a.cols();
  centre = Vector::Zero(d);
  scale = Vector::Ones(d);
  const double total = total_weight(a, weights);
  for (Index j = 0; j < d; ++j) {
    const double mean = (weights.size() ? a.col(j).dot(weights) : a.col(j).sum()) / total;
    const double deviation = weighted_deviation(a.col(j), weights, mean, total);
    centre(j) = mean;
    scale(j) = deviation > 1e-12 * std::max(1e-300, std::abs(mean)) && deviation > 0 ? deviation : 1.0;
  }
}

// Whether a shift of the inputs changes this parameter.
bool needs_origin(const Expert& expert, int parameter) {
  switch (expert.spec().kind) {
    case ExpertKind::network:
      return true;
    case ExpertKind::multinomial:
    case ExpertKind::conditional_logit:
      return parameter < expert.parameters().size() - expert.attributes() &&
             parameter % (1 + expert.plain_inputs()) == 0;
    default:  // slopes stand behind the intercept; of what follows them some have an intercept too
      return parameter < 1 || parameter > expert.inputs();
  }
}

// One coefficient for all columns of an attribute means one scale for them: the root mean square of their deviations.
void pool_attribute_scales(const Expert& expert, const Data& data, const Vector& centre, Vector& scale) {
  const Index c = expert.classes();
  const double total = total_weight(data.expert_inputs, data.weights);
  for (int v = 0; v < expert.attributes(); ++v) {
    const Index first = expert.plain_inputs() + v * c;
    double squares = 0;
    for (Index j = first; j < first + c; ++j) {
      const double deviation = weighted_deviation(data.expert_inputs.col(j), data.weights, centre(j), total);
      if (deviation > 1e-12 * std::abs(centre(j))) squares += deviation * deviation / static_cast<double>(c);
    }
    scale.segment(first, c).setConstant(squares > 0 ? std::sqrt(squares) : 1.0);
  }
}

}  // namespace

Scaling::Scaling(const Data& data, const MixtureModel& prototype) {
  moments(data.expert_inputs, data.weights, expert_centre, expert_scale);
  moments(data.gate_inputs, data.weights, gate_centre, gate_scale);
  pool_attribute_scales(prototype.experts.front(), data, expert_centre, expert_scale);
  if (!prototype.gate.may_be_shifted()) gate_centre.setZero();
  // Constraints are said on the scale of the data. Slopes only change units; whatever a shift of the inputs or of the
  // response would mix with other parameters needs the origin where it is.
  for (const FixedParameter& f : prototype.constraints.fixed) {
    if (f.in_gate && (prototype.gate.spec().kind != GateKind::softmax || f.parameter == 0)) gate_centre.setZero();
    if (!f.in_gate && needs_origin(prototype.experts.front(), f.parameter)) expert_centre.setZero();
  }
  for (int parameter : prototype.constraints.shared)
    if (needs_origin(prototype.experts.front(), parameter)) expert_centre.setZero();
  if (has_classes(prototype.experts.front().spec().kind)) {
    response_centre = Vector::Zero(1);
    response_scale = response_deviation = Vector::Ones(1);
    return;
  }
  moments(data.response, data.weights, response_centre, response_scale);
  response_deviation = response_scale;
  // Spheres and common directions are said in the units of the data: these may only change together.
  if (data.response.cols() > 1 && is_parsimonious(prototype.experts.front().spec().covariance))
    response_scale.setConstant(std::exp(response_scale.array().log().mean()));
  const bool fixed_origin = std::any_of(
      prototype.constraints.fixed.begin(), prototype.constraints.fixed.end(),
      [&](const FixedParameter& f) { return !f.in_gate && needs_origin(prototype.experts.front(), f.parameter); });
  // Weights that do not sum to 1 (least squares behind unnormalised sigmoids): a shift of the experts is none of f.
  if (fixed_origin || !prototype.gate.sums_to_one()) response_centre.setZero();
  if (!std::all_of(prototype.experts.begin(), prototype.experts.end(),
                   [](const Expert& e) { return e.response_may_be_scaled(); })) {
    response_centre.setZero();
    response_scale.setOnes();
  }
}

Data Scaling::standardised(const Data& data, Index begin, Index count) const {
  Data block;
  block.expert_inputs = (data.expert_inputs.middleRows(begin, count).rowwise() - expert_centre.transpose()) *
                        expert_scale.cwiseInverse().asDiagonal();
  block.gate_inputs = (data.gate_inputs.middleRows(begin, count).rowwise() - gate_centre.transpose()) *
                      gate_scale.cwiseInverse().asDiagonal();
  block.response = (data.response.middleRows(begin, count).rowwise() - response_centre.transpose()) *
                   response_scale.cwiseInverse().asDiagonal();
  if (data.weights.size()) block.weights = data.weights.segment(begin, count);
  if (data.trials.size()) block.trials = data.trials.segment(begin, count);
  if (data.offset.size()) block.offset = data.offset.segment(begin, count) / response_scale(0);
  if (data.event.size()) block.event = data.event.segment(begin, count);
  block.classes = data.classes;
  block.attributes = data.attributes;
  const auto part = [&](const std::vector<int>& numbers) {
    const auto from = numbers.begin() + (numbers.empty() ? 0 : begin);
    return std::vector<int>(from, from + (numbers.empty() ? 0 : count));
  };
  block.groups = part(data.groups);
  block.labels = part(data.labels);
  return block;
}

MixtureModel Scaling::to_raw(const MixtureModel& model) const {
  MixtureModel raw = model;
  raw.gate = model.gate.on_raw_scale(gate_centre, gate_scale);
  for (Expert& expert : raw.experts)
    expert = expert.on_raw_scale(expert_centre, expert_scale, response_centre, response_scale);
  raw.noise_log_density += log_jacobian();
  return raw;
}

MixtureModel Scaling::to_standard(const MixtureModel& model) const {
  MixtureModel standard = model;
  standard.gate = model.gate.on_standard_scale(gate_centre, gate_scale);
  for (Expert& expert : standard.experts)
    expert = expert.on_standard_scale(expert_centre, expert_scale, response_centre, response_scale);
  standard.noise_log_density -= log_jacobian();
  return standard;
}

}  // namespace clearway::detail
