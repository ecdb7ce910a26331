// Random data sets and models of every gate and expert, for law tests of the stat floor.
#pragma once

#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway::testing {

inline std::vector<GateSpec> all_gates() {
  return {{.kind = GateKind::softmax},
          {.kind = GateKind::softmax, .temperature = 1.7},
          {.kind = GateKind::constant},
          {.kind = GateKind::equal},
          {.kind = GateKind::sigmoid, .temperature = 0.8},
          {.kind = GateKind::laplace, .temperature = 1.3},
          {.kind = GateKind::gaussian},
          {.kind = GateKind::quadratic, .shape = QuadraticShape::full},
          {.kind = GateKind::quadratic, .temperature = 2.0, .shape = QuadraticShape::diagonal},
          {.kind = GateKind::quadratic, .shape = QuadraticShape::full, .linear_term = false},
          {.kind = GateKind::quadratic, .shape = QuadraticShape::low_rank, .rank = 2},
          {.kind = GateKind::softmax, .transform = GateTransform::tanh},
          {.kind = GateKind::laplace, .transform = GateTransform::sigmoid},
          {.kind = GateKind::activated, .temperature = 0.6},
          {.kind = GateKind::activated,
           .temperature = 0.6,
           .activation = GateActivation::sigmoid,
           .estimate_temperature = false},
          {.kind = GateKind::cosine, .temperature = 0.5},
          {.kind = GateKind::cosine, .temperature = 0.3, .perturbation = 0.1},
          {.kind = GateKind::hierarchical, .temperature = 1.2},
          {.kind = GateKind::hierarchical, .outer = LevelKind::softmax, .inner = LevelKind::laplace},
          {.kind = GateKind::hierarchical, .outer = LevelKind::laplace, .inner = LevelKind::softmax},
          {.kind = GateKind::hierarchical, .outer = LevelKind::laplace, .inner = LevelKind::laplace}};
}

/// Gates whose weights jump: what is said of all gates holds for them where the selection of every row stays.
inline std::vector<GateSpec> top_k_gates() {
  return {{.kind = GateKind::softmax, .top_k = 2},
          {.kind = GateKind::softmax, .top_k = 2, .top_k_rule = TopKRule::slopes},
          {.kind = GateKind::softmax, .top_k = 1},
          {.kind = GateKind::laplace, .top_k = 2, .top_k_rule = TopKRule::slopes},
          {.kind = GateKind::quadratic, .top_k = 2},
          {.kind = GateKind::cosine, .top_k = 2},
          {.kind = GateKind::hierarchical, .top_k = 2}};
}

struct ExpertCase {
  ExpertSpec spec;
  int responses = 1;
};

inline std::vector<ExpertCase> all_experts() {
  std::vector<ExpertCase> cases;
  for (const auto& entry : enum_names(ExpertKind{}))
    cases.push_back({{.kind = entry.value, .degree = 3, .leak = 0.2, .hidden = 3}});
  cases.push_back({{.kind = ExpertKind::linear, .variance = VarianceKind::shared}});
  cases.push_back({{.kind = ExpertKind::linear, .covariance = CovarianceKind::full}, 2});
  cases.push_back({{.kind = ExpertKind::linear, .covariance = CovarianceKind::diagonal}, 3});
  cases.push_back({{.kind = ExpertKind::gamma, .link = LinkKind::identity}});
  cases.push_back({{.kind = ExpertKind::gamma, .link = LinkKind::inverse}});
  cases.push_back({{.kind = ExpertKind::inverse_gaussian, .link = LinkKind::inverse_square}});
  return cases;
}

inline Matrix random_matrix(RandomStream& stream, Eigen::Index rows, Eigen::Index cols) {
  return Matrix::NullaryExpr(rows, cols, [&] { return stream.normal(); });
}

inline Gate random_gate(const GateSpec& spec, int inputs, int experts, RandomStream& stream) {
  Gate gate(spec, inputs, experts);
  for (Eigen::Index i = 0; i < gate.parameters().size(); ++i) gate.parameters()(i) = 0.6 * stream.normal();
  gate.set_units(0.1 * Vector::LinSpaced(inputs, 1.0, 2.0), Vector::LinSpaced(inputs, 0.8, 1.3));
  gate.pin();
  return gate;
}

inline Expert random_expert(const ExpertCase& which, int inputs, int classes, RandomStream& stream) {
  const int attributes = which.spec.kind == ExpertKind::conditional_logit ? inputs / classes : 0;
  Expert expert(which.spec, inputs, which.responses, classes, attributes);
  for (Eigen::Index i = 0; i < expert.parameters().size(); ++i) expert.parameters()(i) = 0.5 * stream.normal();
  if (which.spec.kind == ExpertKind::student_t || which.spec.kind == ExpertKind::skew_t)
    expert.parameters()(expert.parameters().size() - 1) = 1.0 + stream.uniform();
  if (which.spec.link != LinkKind::log) {  // these links allow positive linear predictors only
    expert.parameters()(0) = 3.0 + stream.uniform();
    expert.parameters().segment(1, inputs) *= 0.2;
  }
  return expert;
}

/// A response that the kind of expert accepts.
inline Data random_data(const ExpertCase& which, Eigen::Index rows, int expert_inputs, int gate_inputs,
                        RandomStream& stream, bool weighted = false) {
  Data data;
  data.expert_inputs = random_matrix(stream, rows, expert_inputs);
  data.gate_inputs = random_matrix(stream, rows, gate_inputs);
  data.response = random_matrix(stream, rows, which.responses);
  if (weighted) {
    data.weights.resize(rows);
    for (Eigen::Index i = 0; i < rows; ++i) data.weights(i) = 0.2 + stream.uniform();
  }
  for (Eigen::Index i = 0; i < rows; ++i) {
    double& y = data.response(i, 0);
    switch (which.spec.kind) {
      case ExpertKind::poisson:
      case ExpertKind::negative_binomial:
      case ExpertKind::zero_inflated_poisson:
        y = static_cast<double>(stream.poisson(2.0));
        break;
      case ExpertKind::bernoulli:
        y = stream.uniform() < 0.4 ? 1 : 0;
        break;
      case ExpertKind::binomial:
        if (data.trials.size() == 0) data.trials = Vector::Constant(rows, 7);
        y = static_cast<double>(stream.binomial(7, 0.4));
        break;
      case ExpertKind::gamma:
      case ExpertKind::inverse_gaussian:
        y = stream.gamma(2.0);
        break;
      case ExpertKind::weibull:
      case ExpertKind::exponential:
      case ExpertKind::tobit:
        if (data.event.size() == 0) data.event = Vector::Ones(rows);
        if (which.spec.kind != ExpertKind::tobit) y = stream.gamma(2.0);
        if (i > 0 && i % 3 == 0) data.event(i) = which.spec.kind == ExpertKind::tobit && i % 2 == 0 ? -1 : 0;
        break;
      case ExpertKind::beta:
        y = 0.02 + 0.96 * stream.uniform();
        break;
      case ExpertKind::conditional_logit:  // as many attributes as the inputs allow
        data.classes = 2;
        data.attributes = expert_inputs / 2;
        y = static_cast<double>(stream.index(2));
        break;
      case ExpertKind::multinomial:
      case ExpertKind::ordinal:
        data.classes = 3;
        y = static_cast<double>(stream.index(3));
        break;
      default:
        break;
    }
  }
  return data;
}

inline MixtureModel random_model(const GateSpec& gate, const ExpertCase& expert, const Data& data, int experts,
                                 RandomStream& stream, bool noise = false) {
  MixtureModel model;
  model.gate = random_gate(gate, static_cast<int>(data.gate_inputs.cols()), experts, stream);
  for (int k = 0; k < experts; ++k)
    model.experts.push_back(random_expert(expert, static_cast<int>(data.expert_inputs.cols()), data.classes, stream));
  if (expert.spec.variance == VarianceKind::shared)
    for (Expert& e : model.experts) e.set_sigma(model.experts.front().sigma());
  if (noise) {
    model.has_noise = true;
    model.noise_weight = 0.1;
    model.noise_log_density = -2.0;
  }
  return model;
}

}  // namespace clearway::testing
