#include "clearway/stat/scenario.hpp"

#include "clearway/base/errors.hpp"

namespace clearway {
namespace detail {

Matrix normal_matrix(Eigen::Index rows, Eigen::Index columns, RandomStream& stream) {
  Matrix values(rows, columns);
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < columns; ++j) values(i, j) = stream.normal();
  return values;
}

Gate softmax_gate(const Vector& intercepts, const Matrix& slopes) {
  const int experts = static_cast<int>(slopes.rows());
  Gate gate(GateSpec{}, static_cast<int>(slopes.cols()), experts);
  for (int i = 0; i < experts; ++i) {
    gate.block(i)(0) = intercepts(i) - intercepts(experts - 1);
    gate.block(i).tail(slopes.cols()) = (slopes.row(i) - slopes.row(experts - 1)).transpose();
  }
  return gate;
}

}  // namespace detail

namespace {

// The published problems of each scenario and our choices where there is none.
struct Defaults {
  int experts;
  int dim;
  std::int64_t rows;
};

Defaults defaults_of(ScenarioKind kind) {
  switch (kind) {
    case ScenarioKind::gridlock:
    case ScenarioKind::vector:
      return {3, 10, 10000};
    case ScenarioKind::lambda:
    case ScenarioKind::laplace:
      return {2, 1, 1000};
    case ScenarioKind::hard:
      return {6, 2, 2000};
    case ScenarioKind::noisy:
    case ScenarioKind::rare:
      return {3, 2, 2000};
    default:
      return {2, 1, 1000};
  }
}

ScenarioOptions filled_in(ScenarioOptions options) {
  check_options(options);
  const Defaults own = defaults_of(options.scenario);
  if (options.experts == 0) options.experts = own.experts;
  if (options.dim == 0) options.dim = own.dim;
  if (options.rows == 0) options.rows = own.rows;
  const bool gridlock = options.scenario == ScenarioKind::gridlock || options.scenario == ScenarioKind::vector;
  if (gridlock && options.noise == 0.0) options.noise = 0.1;
  if (!gridlock && options.noise != 0.0)
    user_error("noise belongs to the scenarios gridlock and vector; {} draws its own", enum_name(options.scenario));
  if (!gridlock && !options.norms.empty())
    user_error("norms belong to the scenarios gridlock and vector, not to {}", enum_name(options.scenario));
  if (!options.norms.empty() && static_cast<int>(options.norms.size()) != options.experts)
    user_error("norms must have one number per expert: {} numbers for {} experts", options.norms.size(),
               options.experts);
  return options;
}

}  // namespace

Problem make_problem(const ScenarioOptions& options) {
  Problem problem;
  problem.options = filled_in(options);
  switch (problem.options.scenario) {
    case ScenarioKind::gridlock:
    case ScenarioKind::vector:
      detail::make_gridlock(problem);
      break;
    case ScenarioKind::lambda:
    case ScenarioKind::laplace:
      detail::make_published(problem);
      break;
    default:
      detail::make_uniform_design(problem);
  }
  problem.data.gate_inputs = problem.data.expert_inputs.leftCols(problem.truth.gate.inputs());
  RandomStream stream(static_cast<std::uint64_t>(problem.options.seed), detail::kResponseStream);
  Draw draw = simulate(problem.truth, problem.data, stream, problem.noise_box);
  problem.data.response = std::move(draw.response);
  problem.labels = std::move(draw.labels);
  problem.shares = problem.truth.gate.log_weights(problem.data.gate_inputs).array().exp().colwise().mean().transpose();
  return problem;
}

}  // namespace clearway
