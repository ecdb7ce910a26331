#include "clearway/stat/simulate.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <unordered_map>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

// What drawing from one expert needs, computed for all rows at once.
struct PreparedExpert {
  ExpertKind kind = ExpertKind::linear;
  Matrix mean;             // n x m; multinomial: n x c probabilities
  Matrix covariance_root;  // m x m lower Cholesky factor, vector response only
  double sigma = 0.0;      // scale of Gaussian and Student experts of one response
  double last = 0.0;       // nu of the Student t, shape of the gamma
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
  if (prepared.kind == ExpertKind::student_t || prepared.kind == ExpertKind::gamma)
    prepared.last = std::exp(expert.parameters()(expert.parameters().size() - 1));
  return prepared;
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
    case ExpertKind::multinomial: {
      const Vector probabilities = expert.mean.row(row).transpose();
      return static_cast<double>(
          stream.categorical(probabilities.data(), static_cast<std::size_t>(probabilities.size())));
    }
    case ExpertKind::gamma:
      return mean / expert.last * stream.gamma(expert.last);
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

}  // namespace

Draw simulate(const MixtureModel& model, const Data& inputs, RandomStream& stream, const NoiseBox& box) {
  if (model.experts.empty()) user_error("a model to simulate from must have at least 1 expert, not 0");
  if (!model.gate.sums_to_one())
    user_error("weights of gate '{}' do not sum to 1: nothing can be drawn from it", enum_name(model.gate.spec().kind));
  const Eigen::Index rows = std::max(inputs.gate_inputs.rows(), inputs.expert_inputs.rows());
  const bool multinomial = model.experts.front().spec().kind == ExpertKind::multinomial;
  const Eigen::Index responses = multinomial ? 1 : model.experts.front().responses();
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
