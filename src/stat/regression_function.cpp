#include "regression_function.hpp"

#include "clearway/base/errors.hpp"
#include "expert_updates.hpp"
#include "response_family.hpp"

namespace clearway {
namespace detail {

using Eigen::Index;

bool has_regression_mean(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::linear:
    case ExpertKind::sigmoid:
    case ExpertKind::tanh:
    case ExpertKind::gelu:
    case ExpertKind::relu:
    case ExpertKind::leaky_relu:
    case ExpertKind::polynomial:
    case ExpertKind::constant:
    case ExpertKind::network:
      return true;
    default:
      return false;
  }
}

Index mean_parameter_count(const Expert& expert) {
  if (expert.spec().kind == ExpertKind::network)
    return static_cast<Index>(expert.spec().hidden) * (expert.inputs() + 2) + 1;
  return static_cast<Index>(expert.responses()) * (1 + slope_count(expert));
}

Index first_linear_parameter(const Expert& expert) {
  switch (expert.spec().kind) {
    case ExpertKind::linear:
    case ExpertKind::constant:
      return 0;
    case ExpertKind::network:
      return static_cast<Index>(expert.spec().hidden) * (expert.inputs() + 1);
    default:
      return mean_parameter_count(expert);
  }
}

Matrix expert_means(const MixtureModel& model, const Data& inputs, int response) {
  Matrix means(inputs.expert_inputs.rows(), model.expert_count());
  for (int k = 0; k < model.expert_count(); ++k)
    means.col(k) =
        model.experts[static_cast<std::size_t>(k)].mean(inputs.expert_inputs, Vector(), inputs.offset).col(response);
  return means;
}

Matrix expert_mean_jacobian(const Expert& expert, const Data& inputs, int response) {
  const Matrix& x = inputs.expert_inputs;
  const Index n = x.rows(), d = expert.inputs();
  const Vector& theta = expert.parameters();
  Matrix jacobian = Matrix::Zero(n, mean_parameter_count(expert));
  if (expert.spec().kind == ExpertKind::network) {
    const Index h = expert.spec().hidden, at = h * (d + 1);
    const Matrix hidden = hidden_layer(expert, x);
    for (Index j = 0; j < h; ++j) {
      jacobian.col(j * (d + 1)) = theta(at + 1 + j) * (1 - hidden.col(j).array().square());
      jacobian.middleCols(j * (d + 1) + 1, d) = jacobian.col(j * (d + 1)).asDiagonal() * x;
    }
    jacobian.col(at).setOnes();
    jacobian.middleCols(at + 1, h) = hidden;
    return jacobian;
  }
  const Index slopes = slope_count(expert), at = response * (1 + slopes);
  Vector slope = Vector::Ones(n);
  if (first_linear_parameter(expert) > 0) {
    const Vector eta = linear_predictor(expert, x, inputs.offset);
    for (Index i = 0; i < n; ++i) slope(i) = link_value(expert.spec(), eta(i)).first;
  }
  jacobian.col(at) = slope;
  if (slopes > 0) jacobian.middleCols(at + 1, slopes) = slope.asDiagonal() * x;
  return jacobian;
}

Matrix regression_jacobian(const MixtureModel& model, const std::vector<RegressionParameter>& parameters,
                           const Data& inputs, int response) {
  const Matrix weights = model.gate.log_weights(inputs.gate_inputs).array().exp();
  bool any_gate = false;
  for (const RegressionParameter& p : parameters) any_gate = any_gate || p.gate;
  Matrix gate;
  if (any_gate) gate = model.gate.combination_jacobian(inputs.gate_inputs, expert_means(model, inputs, response));
  std::vector<Matrix> experts(model.experts.size());
  Matrix jacobian(weights.rows(), static_cast<Index>(parameters.size()));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const RegressionParameter& p = parameters[i];
    const auto column = static_cast<Index>(i);
    if (p.gate) {
      jacobian.col(column) = gate.col(p.index);
      continue;
    }
    Matrix& own = experts[static_cast<std::size_t>(p.expert)];
    if (own.size() == 0) {
      own = expert_mean_jacobian(model.experts[static_cast<std::size_t>(p.expert)], inputs, response);
      own = weights.col(p.expert).asDiagonal() * own;
    }
    jacobian.col(column) = own.col(p.index);
  }
  return jacobian;
}

}  // namespace detail

std::vector<RegressionParameter> regression_parameters(const MixtureModel& model) {
  std::vector<RegressionParameter> parameters;
  const Gate& gate = model.gate;
  if (gate.experts() > 1)
    for (Eigen::Index i = 0; i < gate.parameters().size(); ++i) {
      // Behind the blocks of the experts: groups of a hierarchical gate, a temperature.
      const bool shared = i >= gate.parameters().size() - gate.shared_size();
      if (!gate.pinned(i))
        parameters.push_back({.gate = true,
                              .expert = shared ? -1 : static_cast<int>(i / gate.block_size()),
                              .index = i,
                              .linear = false});
    }
  for (int k = 0; k < model.expert_count(); ++k) {
    const Expert& expert = model.experts[static_cast<std::size_t>(k)];
    if (!detail::has_regression_mean(expert.spec().kind))
      user_error("least squares needs experts with a mean for a real response, not {}", enum_name(expert.spec().kind));
    for (Eigen::Index j = 0; j < detail::mean_parameter_count(expert); ++j)
      parameters.push_back(
          {.gate = false, .expert = k, .index = j, .linear = j >= detail::first_linear_parameter(expert)});
  }
  return parameters;
}

std::vector<std::string> regression_parameter_names(const MixtureModel& model,
                                                    const std::vector<RegressionParameter>& parameters,
                                                    const std::vector<std::string>& gate_inputs,
                                                    const std::vector<std::string>& expert_inputs,
                                                    const std::vector<std::string>& responses) {
  const auto numbered = [](const std::vector<std::string>& given, int count, const char* letter) {
    std::vector<std::string> names = given;
    for (int i = static_cast<int>(names.size()); i < count; ++i) names.push_back(fmt::format("{}{}", letter, i + 1));
    return names;
  };
  const std::vector<std::string> gate_names = numbered(gate_inputs, model.gate.inputs(), "x");
  const std::vector<std::string> expert_names = numbered(expert_inputs, model.experts.front().inputs(), "x");
  const std::vector<std::string> response_names = numbered(responses, model.experts.front().responses(), "y");
  const std::vector<std::string> block = model.gate.block_names(gate_names);
  const std::vector<std::string> shared = model.gate.shared_names(gate_names);
  std::vector<std::string> names;
  for (const RegressionParameter& p : parameters) {
    if (p.gate && p.expert < 0) {
      const Eigen::Index first = model.gate.parameters().size() - model.gate.shared_size();
      names.push_back("gate: " + shared[static_cast<std::size_t>(p.index - first)]);
    } else if (p.gate) {
      names.push_back(
          fmt::format("gate {}: {}", p.expert + 1, block[static_cast<std::size_t>(p.index % model.gate.block_size())]));
    } else {
      const Expert& expert = model.experts[static_cast<std::size_t>(p.expert)];
      names.push_back(
          fmt::format("expert {}: {}", p.expert + 1,
                      expert.parameter_names(expert_names, response_names)[static_cast<std::size_t>(p.index)]));
    }
  }
  return names;
}

}  // namespace clearway
