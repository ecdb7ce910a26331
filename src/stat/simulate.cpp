#include "clearway/stat/simulate.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "clearway/base/errors.hpp"
#include "expert_updates.hpp"

namespace clearway {
namespace {

constexpr double kPi = 3.14159265358979323846;

// What drawing from one expert needs, computed for all rows at once.
struct PreparedExpert {
  ExpertKind kind = ExpertKind::linear;
  Matrix mean;             // n x m; classes: n x c probabilities
  Vector variance;         // n, heteroscedastic only
  Matrix covariance_root;  // m x m lower Cholesky factor, vector response only
  double sigma = 0.0;      // scale of real responses
  double slant = 0.0;      // skew-t only
  double last = 0.0;       // the last parameter on its natural scale: nu, shape, size, precision, slant, odds of a zero
};

PreparedExpert prepare(const Expert& expert, const Data& inputs) {
  PreparedExpert prepared;
  prepared.kind = expert.spec().kind;
  prepared.mean = expert.mean(inputs.expert_inputs, inputs.trials, inputs.offset);
  if (expert.responses() > 1) {
    prepared.covariance_root = Matrix(expert.covariance().llt().matrixL());
  } else if (expert.has_sigma()) {
    prepared.sigma = expert.sigma();
  }
  const double last = expert.parameters().size() > 0 ? expert.parameters()(expert.parameters().size() - 1) : 0.0;
  prepared.last = prepared.kind == ExpertKind::skew_normal ? last : std::exp(last);
  if (prepared.kind == ExpertKind::skew_t) {
    prepared.slant = expert.parameters()(expert.parameters().size() - 2);
    prepared.mean = detail::linear_predictor(expert, inputs.expert_inputs, inputs.offset);  // the location
  }
  if (prepared.kind == ExpertKind::heteroscedastic)
    prepared.variance = expert.variance(inputs.expert_inputs, inputs.trials, inputs.offset);
  return prepared;
}

// Michael, Schucany and Haas 1976.
double draw_inverse_gaussian(double mean, double shape, RandomStream& stream) {
  const double z = stream.normal();
  const double w = mean * z * z / (2 * shape);
  const double root = std::sqrt(w * (2 + w));
  const double ratio = 1 / (1 + w + root);  // the smaller root over the mean, without cancellation
  return stream.uniform() * (1 + ratio) <= 1 ? mean * ratio : mean / ratio;
}

double draw_one(const PreparedExpert& expert, Eigen::Index row, const Data& inputs, RandomStream& stream) {
  const double mean = expert.mean(row, 0);
  switch (expert.kind) {
    case ExpertKind::poisson:
      return static_cast<double>(stream.poisson(mean));
    case ExpertKind::bernoulli:
      return stream.uniform() < mean ? 1.0 : 0.0;
    case ExpertKind::binomial: {
      const double trials = inputs.trials.size() > 0 ? inputs.trials(row) : 1.0;
      const double probability = trials > 0 ? mean / trials : 0.0;
      return static_cast<double>(stream.binomial(std::llround(trials), probability));
    }
    case ExpertKind::multinomial:
    case ExpertKind::conditional_logit:
    case ExpertKind::ordinal: {
      const Vector probabilities = expert.mean.row(row).transpose();
      return static_cast<double>(
          stream.categorical(probabilities.data(), static_cast<std::size_t>(probabilities.size())));
    }
    case ExpertKind::negative_binomial:  // a Poisson count whose mean is gamma distributed
      return static_cast<double>(stream.poisson(mean / expert.last * stream.gamma(expert.last)));
    case ExpertKind::zero_inflated_poisson: {
      const double counted = 1 / (1 + expert.last);  // the mean includes the extra zeros
      return stream.uniform() < counted ? static_cast<double>(stream.poisson(mean / counted)) : 0.0;
    }
    case ExpertKind::gamma:
      return mean / expert.last * stream.gamma(expert.last);
    case ExpertKind::inverse_gaussian:
      return draw_inverse_gaussian(mean, expert.last, stream);
    case ExpertKind::exponential:
      return mean * stream.gamma(1.0);
    case ExpertKind::weibull:
      return mean / std::tgamma(1 + 1 / expert.last) * std::pow(stream.gamma(1.0), 1 / expert.last);
    case ExpertKind::beta: {
      const double first = stream.gamma(mean * expert.last), second = stream.gamma((1 - mean) * expert.last);
      constexpr double kInside = 1e-15;  // rounding must not leave the open interval
      return std::clamp(first / (first + second), kInside, 1 - kInside);
    }
    case ExpertKind::laplace: {
      const double distance = expert.sigma * stream.gamma(1.0);
      return stream.uniform() < 0.5 ? mean - distance : mean + distance;
    }
    case ExpertKind::skew_normal: {
      const double delta = expert.last / std::hypot(1.0, expert.last);
      const double half = std::abs(stream.normal()), other = stream.normal();
      const double z = delta * (half - std::sqrt(2 / kPi)) + std::sqrt(1 - delta * delta) * other;
      return mean + expert.sigma * z;
    }
    case ExpertKind::skew_t: {  // a skew-normal variable over the root of an independent chi-squared one
      const double delta = expert.slant / std::hypot(1.0, expert.slant);
      const double half = std::abs(stream.normal()), other = stream.normal();
      const double z = delta * half + std::sqrt(1 - delta * delta) * other;
      return mean + expert.sigma * z / std::sqrt(stream.gamma(0.5 * expert.last) / (0.5 * expert.last));
    }
    case ExpertKind::heteroscedastic:
      return mean + std::sqrt(expert.variance(row)) * stream.normal();
    case ExpertKind::student_t:
      return mean + expert.sigma * stream.student_t(expert.last);
    default:
      return mean + expert.sigma * stream.normal();
  }
}

void check_box(const MixtureModel& model, const NoiseBox& box, Eigen::Index responses) {
  if (!model.has_noise) return;
  if (box.low.size() != responses || box.high.size() != responses || (box.high.array() <= box.low.array()).any())
    user_error("a model with a noise component needs the range of the noise for each of {} responses", responses);
}

// y = f_G(x) + noise; the label is the expert that weighs most, for no expert alone gives the response.
Draw simulate_regression(const MixtureModel& model, const Data& inputs, RandomStream& stream) {
  Draw draw;
  draw.response = model.mean(inputs);
  draw.labels = model.most_likely_expert(inputs);
  const Matrix root = model.experts.front().covariance().llt().matrixL();
  Vector normals(draw.response.cols());
  for (Eigen::Index t = 0; t < draw.response.rows(); ++t) {
    for (Eigen::Index j = 0; j < normals.size(); ++j) normals(j) = stream.normal();
    draw.response.row(t) += (root * normals).transpose();
  }
  return draw;
}

}  // namespace

Draw simulate(const MixtureModel& model, const Data& inputs, RandomStream& stream, const NoiseBox& box) {
  if (model.experts.empty()) user_error("a model to simulate from must have at least 1 expert, not 0");
  if (model.form == ModelForm::regression) return simulate_regression(model, inputs, stream);
  if (!model.gate.sums_to_one())
    user_error("weights of gate '{}' do not sum to 1: nothing can be drawn from it", enum_name(model.gate.spec().kind));
  const Eigen::Index rows = std::max(inputs.gate_inputs.rows(), inputs.expert_inputs.rows());
  const bool classes = has_classes(model.experts.front().spec().kind);
  const Eigen::Index responses = classes ? 1 : model.experts.front().responses();
  check_box(model, box, responses);

  std::vector<PreparedExpert> experts;
  for (const Expert& expert : model.experts) experts.push_back(prepare(expert, inputs));
  const Matrix weights = model.gate.log_weights(inputs.gate_inputs).array().exp();

  Draw draw;
  draw.response.resize(rows, responses);
  draw.labels.resize(static_cast<std::size_t>(rows));
  Vector row_weights(model.expert_count());
  Vector normals(responses);
  std::unordered_map<int, int> label_of_group;
  for (Eigen::Index t = 0; t < rows; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const int known = inputs.labels.empty() ? -1 : inputs.labels[at];
    const auto seen = inputs.groups.empty() ? label_of_group.end() : label_of_group.find(inputs.groups[at]);
    int label = model.expert_count();
    if (known >= 0) {
      label = known;
    } else if (seen != label_of_group.end()) {
      label = seen->second;
    } else if (!model.has_noise || stream.uniform() >= model.noise_weight) {
      row_weights = weights.row(t).transpose();
      label = static_cast<int>(stream.categorical(row_weights.data(), static_cast<std::size_t>(row_weights.size())));
    }
    draw.labels[at] = label;
    if (!inputs.groups.empty()) label_of_group.emplace(inputs.groups[at], label);
    if (label == model.expert_count()) {
      for (Eigen::Index j = 0; j < responses; ++j) draw.response(t, j) = stream.uniform(box.low(j), box.high(j));
    } else if (responses == 1) {
      draw.response(t, 0) = draw_one(experts[static_cast<std::size_t>(label)], t, inputs, stream);
    } else {
      const PreparedExpert& expert = experts[static_cast<std::size_t>(label)];
      for (Eigen::Index j = 0; j < responses; ++j) normals(j) = stream.normal();
      draw.response.row(t) = expert.mean.row(t) + (expert.covariance_root * normals).transpose();
    }
  }
  return draw;
}

}  // namespace clearway
