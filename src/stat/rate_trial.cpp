// One trial of the rates study: data, fit, errors.
#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/simulate.hpp"
#include "clearway/stat/study_rates.hpp"
#include "em_engine.hpp"
#include "levenberg_marquardt.hpp"
#include "optimise.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// Streams of one trial: kind, number of the trial and sample size make the number of the stream.
enum class TrialStream : std::uint64_t { inputs = 101, response = 102, start = 103, fit = 104 };

std::uint64_t stream_number(TrialStream kind, std::int64_t rows, int trial) {
  return (static_cast<std::uint64_t>(kind) << 56U) | (static_cast<std::uint64_t>(trial) << 36U) |
         static_cast<std::uint64_t>(rows);
}

RandomStream stream_of(TrialStream kind, std::int64_t rows, int trial, std::int64_t seed) {
  return RandomStream(static_cast<std::uint64_t>(seed), stream_number(kind, rows, trial));
}

Matrix draw_inputs(const RateProblem& problem, Index rows, RandomStream& stream) {
  if (problem.inputs == RateInputs::grid) {
    if (problem.dim() != 1) user_error("inputs on a grid need one input, not {}", problem.dim());
    return Vector::LinSpaced(rows, problem.low, problem.high);
  }
  return Matrix::NullaryExpr(rows, problem.dim(), [&] { return stream.uniform(problem.low, problem.high); });
}

// The intercept of each of `copies` experts that share the weight of one. For sigmoids beside gate slopes there is none;
// this one is right where the linear score is 0.
double shared_intercept(const Gate& gate, double intercept, int copies) {
  const double temperature = gate.temperature();
  switch (gate.spec().kind) {
    case GateKind::laplace:
    case GateKind::cosine:
      return intercept - std::log(copies);
    case GateKind::sigmoid:
    case GateKind::unnormalised_sigmoid: {
      const double weight = 1 / (1 + std::exp(-intercept / temperature)) / copies;
      return temperature * std::log(weight / (1 - weight));
    }
    default:
      return intercept - temperature * std::log(copies);
  }
}

// Near the truth: every further expert is a copy of a true one that is drawn at random, copies share its weight, and
// every parameter moves by a normal number of a tenth of its size (at least of 1) times n^(-1/4).
MixtureModel near_truth(const RateProblem& problem, int fitted, std::int64_t rows, RandomStream& stream) {
  const MixtureModel& truth = problem.truth;
  const int k = truth.expert_count();
  std::vector<int> original;
  std::vector<int> copies(static_cast<std::size_t>(k), 0);
  for (int i = 0; i < fitted; ++i) {
    original.push_back(i < k ? i : static_cast<int>(stream.index(static_cast<std::uint64_t>(k))));
    ++copies[static_cast<std::size_t>(original.back())];
  }
  const double size = 0.1 * std::pow(static_cast<double>(rows), -0.25);
  const auto move = [&](double& parameter) {
    parameter += size * std::max(1.0, std::abs(parameter)) * stream.normal();
  };
  MixtureModel start;
  start.form = truth.form;
  start.gate = Gate(problem.fitted_gate(fitted), truth.gate.inputs(), fitted);
  if (truth.gate.spec().kind == GateKind::hierarchical) {  // a copy stays in the group of its original
    std::vector<int> group_of;
    for (const int j : original) group_of.push_back(truth.gate.group_of()[static_cast<std::size_t>(j)]);
    start.gate.set_group_of(group_of);
  }
  start.gate.shared() = truth.gate.shared();
  for (double& parameter : start.gate.shared()) move(parameter);
  for (int i = 0; i < fitted; ++i) {
    const int j = original[static_cast<std::size_t>(i)];
    if (truth.gate.block_size() > 0) {
      start.gate.block(i) = truth.gate.block(j);
      start.gate.block(i)(0) =
          shared_intercept(truth.gate, truth.gate.block(j)(0), copies[static_cast<std::size_t>(j)]);
      for (double& parameter : start.gate.block(i)) move(parameter);
    }
    Expert expert = truth.experts[static_cast<std::size_t>(j)];
    for (double& parameter : expert.parameters()) move(parameter);
    start.experts.push_back(std::move(expert));
  }
  start.gate.pin();
  return start;
}

struct Fitted {
  MixtureModel model;
  bool converged = false;
  StopReason reason = StopReason::not_fitted;
  int iterations = 0;
  double objective = std::numeric_limits<double>::quiet_NaN();
};

constexpr int kTournamentIterations = 50;  // near enough to an optimum to know which one it is
constexpr int kClimbIterations = 500;
constexpr double kClimbTolerance = 1e-7;  // mean scores have standard errors from 1e-3 up at these sizes
constexpr double kNoiseFloor = 1e-3;      // as FitOptions::sigma_floor

Fitted climb_least_squares(const Data& data, const MixtureModel& start) {
  const detail::Scaling scaling(data, start);
  MixtureModel model = scaling.to_standard(start);
  const detail::LeastSquaresProblem problem(data, scaling, model, 1);
  detail::LeastSquaresSettings settings;
  settings.max_iterations = kClimbIterations;
  settings.tolerance = kClimbTolerance;
  const ExpertKind kind = start.experts.front().spec().kind;
  settings.kinked = kind == ExpertKind::relu || kind == ExpertKind::leaky_relu;
  const detail::LeastSquaresOutcome outcome = detail::minimise(problem, model, settings);
  return {scaling.to_raw(model), outcome.converged, outcome.reason, outcome.iterations,
          outcome.sum_of_squares * scaling.response_scale.cwiseAbs2().sum()};
}

Fitted climb(const Data& data, const MixtureModel& start) {
  if (start.form == ModelForm::regression) return climb_least_squares(data, start);

  const detail::Scaling scaling(data, start);
  MixtureModel model = scaling.to_standard(start);
  detail::EngineSettings settings;
  settings.sigma_floor = kNoiseFloor * scaling.response_deviation.cwiseQuotient(scaling.response_scale).minCoeff();
  const auto engine = detail::make_engine(data, scaling, model, settings);
  detail::OptimiseSettings optimise_settings;
  optimise_settings.max_iterations = kClimbIterations;
  optimise_settings.tolerance = kClimbTolerance;
  const detail::OptimiseOutcome outcome = detail::optimise(*engine, model, optimise_settings);
  return {scaling.to_raw(model), outcome.converged, outcome.reason, outcome.iterations,
          outcome.objective + scaling.log_jacobian() * static_cast<double>(data.rows())};
}

FitOptions fit_options_of(const RateProblem& problem, int fitted, RandomStream& stream,
                          const RateStudyOptions& options) {
  FitOptions fit_options;
  fit_options.experts = fitted;
  fit_options.gate = problem.fitted_gate(fitted);
  fit_options.expert = problem.truth.experts.front().spec();
  fit_options.method = problem.method;
  fit_options.starts = options.starts;
  fit_options.sigma_floor = kNoiseFloor;
  fit_options.seed = static_cast<std::int64_t>(stream.index(std::uint64_t{1} << 40U));
  fit_options.max_iterations = kTournamentIterations;
  fit_options.newton = false;
  fit_options.threads = 1;
  return fit_options;
}

// The tournament of fit(), cut short and on a random sample of the rows where there are many, then one climb to
// convergence with all of them.
Fitted fit_from_data(const Data& data, const FitOptions& fit_options, RandomStream& stream, int start_rows) {
  const auto rows = static_cast<std::size_t>(data.rows());
  const auto sample_rows = std::min(rows, static_cast<std::size_t>(start_rows));
  std::vector<Index> sample;
  for (const std::size_t row : stream.sample_without_replacement(rows, sample_rows))
    sample.push_back(static_cast<Index>(row));
  MixtureModel start = fit(data.subset(sample), fit_options).model;
  // fit() measures the distances of a Laplace gate in standard deviations of its data, the truth in those of the inputs.
  if (start.gate.spec().kind == GateKind::laplace) start.gate.set_input_scale(Vector::Ones(start.gate.inputs()));
  return climb(data, start);
}

}  // namespace

Data rate_data(const RateProblem& problem, std::int64_t rows, int trial, std::int64_t seed) {
  RandomStream inputs = stream_of(TrialStream::inputs, rows, trial, seed);
  RandomStream response = stream_of(TrialStream::response, rows, trial, seed);
  Data data;
  data.expert_inputs = draw_inputs(problem, static_cast<Index>(rows), inputs);
  data.gate_inputs = data.expert_inputs.leftCols(problem.truth.gate.inputs());
  data.classes = problem.truth.experts.front().classes();
  data.response = simulate(problem.truth, data, response).response;
  return data;
}

RateTrial run_rate_trial(const RateProblem& problem, const RateErrors& errors, int fitted, std::int64_t rows, int trial,
                         const RateStudyOptions& options) {
  const Data data = rate_data(problem, rows, trial, options.seed);
  Fitted found;
  if (options.start == RateStart::truth) {
    RandomStream stream = stream_of(TrialStream::start, rows, trial, options.seed);
    found = climb(data, near_truth(problem, fitted, rows, stream));
  } else {
    RandomStream stream = stream_of(TrialStream::fit, rows, trial, options.seed);
    const FitOptions fit_options = fit_options_of(problem, fitted, stream, options);
    found = fit_from_data(data, fit_options, stream, options.start_rows);
  }
  RateTrial result;
  result.fitted = fitted;
  result.rows = rows;
  result.trial = trial;
  result.converged = found.converged;
  result.reason = found.reason;
  result.iterations = found.iterations;
  result.objective = found.objective;
  errors.measure(found.model, result);
  const auto keep = [&](const Vector& parameters) {
    result.parameters.insert(result.parameters.end(), parameters.begin(), parameters.end());
  };
  keep(found.model.gate.parameters());
  for (const Expert& expert : found.model.experts) keep(expert.parameters());
  return result;
}

}  // namespace clearway
