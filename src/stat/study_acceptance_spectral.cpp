// Rows 3 to 7 and 16: regressors straight from the tensors, without a polish.
#include "clearway/base/parallel.hpp"
#include "clearway/stat/study_acceptance.hpp"
#include "study_problem.hpp"
#include "study_statistics.hpp"

namespace clearway::detail {
namespace {

struct Target {
  int row;
  int experts;
  std::int64_t rows;
  ExpertKind g = ExpertKind::linear;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool orthogonal = true;
  InputKind inputs = InputKind::gaussian;
  InputModel scores = InputModel::gaussian;
  const char* note = "";
};

constexpr double kNone = std::numeric_limits<double>::infinity();

std::vector<Target> targets() {
  using enum ExpertKind;
  return {{.row = 3, .experts = 2, .rows = 2000, .high = 0.26},
          {.row = 3, .experts = 2, .rows = 10000, .high = 0.115},
          {.row = 3, .experts = 2, .rows = 50000, .high = 0.05},
          {.row = 4, .experts = 3, .rows = 2000, .high = 0.40},
          {.row = 4, .experts = 3, .rows = 10000, .high = 0.19},
          {.row = 4, .experts = 3, .rows = 50000, .high = 0.095},
          {.row = 5, .experts = 4, .rows = 2000, .high = kNone, .note = "no requirement: too few rows"},
          {.row = 5, .experts = 4, .rows = 10000, .high = 0.37},
          {.row = 5, .experts = 4, .rows = 20000, .high = 0.24},
          {.row = 6, .experts = 2, .rows = 20000, .g = tanh, .high = 0.085},
          {.row = 6, .experts = 3, .rows = 20000, .g = tanh, .high = 0.145},
          {.row = 6, .experts = 2, .rows = 20000, .g = relu, .high = 0.28},
          {.row = 6, .experts = 3, .rows = 20000, .g = relu, .high = 0.43},
          {.row = 7, .experts = 2, .rows = 200000, .high = 0.03, .orthogonal = false, .note = "no bias: parity"},
          {.row = 7,
           .experts = 3,
           .rows = 200000,
           .low = 0.12,
           .high = 0.35,
           .orthogonal = false,
           .note = "the bias plateau must be there"},
          {.row = 16,
           .experts = 2,
           .rows = 20000,
           .high = 0.07,
           .inputs = InputKind::student,
           .scores = InputModel::mixture,
           .note = "score tensors of a mixture of 4 Gaussians"},
          {.row = 16,
           .experts = 2,
           .rows = 20000,
           .low = 0.4,
           .inputs = InputKind::student,
           .note = "Hermite tensors are expected to fail"}};
}

double spectral_error(const Target& target, int seed_number, std::int64_t seed) {
  StudyCell cell;
  cell.problem.experts = target.experts;
  cell.problem.rows = target.rows;
  cell.problem.expert.kind = target.g;
  cell.problem.orthogonal = target.orthogonal;
  cell.problem.inputs = target.inputs;
  cell.inputs = target.scores;
  const Problem problem = trial_problem(cell, seed_number, seed);
  const JointProblem joint = as_joint_problem(problem);
  const SpectralResult spectral = spectral_regressors(joint.x, joint.y, spectral_options(cell, problem.options.seed));
  return spectral.found ? align_regressors(spectral.slopes, joint.truth.regressors).error : kNone;
}

}  // namespace

void acceptance_spectral(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines) {
  for (const Target& target : targets()) {
    if (!wants(options, target.row)) continue;
    std::vector<double> errors(static_cast<std::size_t>(options.seeds));
    parallel_for(errors.size(), options.threads,
                 [&](std::size_t s) { errors[s] = spectral_error(target, static_cast<int>(s), options.seed); });
    const std::string gates = target.orthogonal ? "" : " random gates";
    const std::string inputs = target.inputs == InputKind::student ? " t5 inputs" : "";
    lines.push_back(
        {.row = target.row,
         .check = "spectral regressor error, median",
         .setting = fmt::format("{} k={} n={}{}{}", enum_name(target.g), target.experts, target.rows, gates, inputs),
         .measured = median(errors),
         .low = target.low,
         .high = target.high,
         .note = target.note});
  }
}

}  // namespace clearway::detail
