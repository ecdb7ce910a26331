#include "clearway/stat/study_gridlock.hpp"

#include <cmath>
#include <mutex>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "study_problem.hpp"
#include "study_statistics.hpp"

namespace clearway {

using namespace detail;

namespace {

constexpr double kLocalGap = 1e-3;        // mean log-likelihood below the oracle's: gridlock note, section 7
constexpr double kClimbTolerance = 1e-8;  // change of the mean log-likelihood at which a climb stops
constexpr std::uint64_t kStartStream = 100;

// g(-z) = g(z) or -g(z) up to the sign of a: regressors are then determined up to sign only for even g.
bool is_even(const ExpertSpec& expert) {
  return expert.kind == ExpertKind::polynomial && expert.degree % 2 == 0;
}

StudyRun climb(StudyMethod method, const JointProblem& joint, JointEmState start, const ExpertSpec& expert,
               const GridlockStudyOptions& options) {
  StudyRun run;
  run.method = method;
  const bool sign_free = is_even(expert);
  JointEmOptions em;
  em.expert = expert;
  em.max_iterations = options.max_iterations;
  em.tolerance = kClimbTolerance;
  const JointEmResult result =
      joint_em(joint.x, joint.y, std::move(start), em, [&](int iteration, const JointEmState& state, double) {
        if (iteration <= options.trace) run.trace.push_back(errors_of(state, joint, sign_free).regressor);
      });
  const RecoveryErrors errors = errors_of(result.state, joint, sign_free);
  run.mean_log_likelihood = result.mean_log_likelihood;
  run.iterations = result.iterations;
  run.converged = result.converged;
  run.regressor_error = errors.regressor;
  run.gate_error = errors.gate;
  run.sigma_error = std::abs(std::sqrt(result.state.variance) - std::sqrt(joint.truth.variance));
  return run;
}

// Spectral regressors, then EM for the gate with the regressors fixed, then joint EM.
StudyRun spectral_climb(const StudyCell& cell, const Problem& problem, const JointProblem& joint,
                        const GridlockStudyOptions& options, StudyTrial& trial) {
  StudyRun run;
  run.method = StudyMethod::spectral;
  SpectralResult spectral;
  try {
    spectral = spectral_regressors(problem.data.expert_inputs, joint.y, spectral_options(cell, trial.seed));
  } catch (const std::invalid_argument& error) {
    run.note = error.what();
  }
  if (!spectral.found) {
    run.available = false;
    if (run.note.empty() && !spectral.diagnoses.empty()) run.note = spectral.diagnoses.front();
    return run;
  }
  const Matrix regressors = with_intercept_column(spectral.slopes, joint.intercepts);
  const JointEmState start = gate_em_from_zero(joint, regressors, cell.problem.expert);
  trial.spectral_error = errors_of(start, joint).regressor;
  trial.gate_error_before_polish = errors_of(start, joint).gate;
  return climb(StudyMethod::spectral, joint, start, cell.problem.expert, options);
}

StudyCell cell_of(const GridlockStudyOptions& options, std::string name, int experts, const ExpertSpec& expert) {
  StudyCell cell;
  cell.name = std::move(name);
  cell.trials = options.trials;
  cell.problem.experts = experts;
  cell.problem.dim = options.dim;
  cell.problem.rows = options.rows;
  cell.problem.noise = options.noise;
  cell.problem.gate_norm = options.gate_norm;
  cell.problem.expert = expert;
  return cell;
}

void add_limits(const GridlockStudyOptions& options, std::vector<StudyCell>& cells) {
  const ExpertSpec linear;
  const auto add = [&](const std::string& name, int experts, const ExpertSpec& expert,
                       const std::string& expectation) -> StudyCell& {
    StudyCell cell = cell_of(options, name, experts, expert);
    cell.main = false;
    cell.trials = options.limit_trials;
    cell.expectation = expectation;
    cell.problem.dim = 10;
    cells.push_back(cell);
    return cells.back();
  };
  const std::string parity = "Two experts, odd g, no gate intercept: unbiased for any gate.";
  add("random-gates", 2, linear, parity).problem.orthogonal = false;
  const std::string bias =
      "Three experts and gates that look along the regressors: biased, the error levels off as rows grow.";
  for (const std::int64_t rows : {std::int64_t{10000}, std::int64_t{50000}}) {
    StudyCell& cell = add("random-gates", 3, linear, bias);
    cell.problem.orthogonal = false;
    cell.problem.rows = rows;
  }
  add("random-gates", 2, ExpertSpec{.kind = ExpertKind::relu}, "ReLU is not odd: biased from two experts on.")
      .problem.orthogonal = false;
  add("small-sample", 4, linear, "A thousand rows are too few for the third moment of four experts.").problem.rows =
      1000;
  StudyCell& many =
      add("more-experts-than-inputs", 4, linear, "The regressors are not linearly independent: no answer.");
  many.problem.dim = 3;
  many.problem.orthogonal = false;
  add("even-g", 3, ExpertSpec{.kind = ExpertKind::polynomial, .degree = 2},
      "For an even g the third moment is zero: no answer.");
  add("unequal-norms", 3, linear, "The transforms assume one common length.").problem.norms = {0.5, 1.0, 1.5};
  add("expert-intercepts", 3, linear, "The transforms assume no intercepts.").problem.expert_intercepts = 0.5;
  StudyCell& tails = add("t5-inputs", 2, linear, "Hermite tensors assume Gaussian inputs.");
  tails.problem.inputs = InputKind::student;
  tails.problem.rows = 20000;
  StudyCell& scores =
      add("t5-inputs-mixture-scores", 2, linear, "Score tensors of a Gaussian mixture fitted to the inputs repair it.");
  scores.problem = tails.problem;
  scores.inputs = InputModel::mixture;
  StudyCell& loud = add("high-noise", 2, linear,
                        "Noise as large as the signal: EM from random starts is slow and fails now and then.");
  loud.problem.noise = 1.0;
  loud.problem.rows = 20000;
}

}  // namespace

std::vector<StudyCell> study_cells(const GridlockStudyOptions& options) {
  check_options(options);
  std::vector<StudyCell> cells;
  for (const std::string& name : options.g)
    for (const int experts : options.experts)
      cells.push_back(cell_of(options, "orthogonal", experts, ExpertSpec{.kind = enum_value<ExpertKind>("g", name)}));
  if (options.limits) add_limits(options, cells);
  return cells;
}

StudyTrial run_study_trial(const StudyCell& cell, int trial_number, const GridlockStudyOptions& options) {
  StudyTrial trial;
  trial.trial = trial_number;
  trial.seed = trial_seed(cell, trial_number, options.seed);
  const Problem problem = trial_problem(cell, trial_number, options.seed);
  const JointProblem joint = as_joint_problem(problem);
  const ExpertSpec& expert = cell.problem.expert;

  trial.runs.push_back(climb(StudyMethod::oracle, joint, joint.truth, expert, options));
  trial.runs.push_back(spectral_climb(cell, problem, joint, options, trial));
  for (const StudyMethod method : {StudyMethod::em_zero, StudyMethod::em_random}) {
    RandomStream stream(static_cast<std::uint64_t>(trial.seed), kStartStream + static_cast<std::uint64_t>(method));
    const double norm = method == StudyMethod::em_random ? cell.problem.gate_norm : 0.0;
    for (int start = 0; start < options.starts; ++start) {
      JointEmState state = random_joint_start(joint.y, cell.problem.experts, cell.problem.dim, norm, stream);
      state.regressors = with_intercept_column(state.regressors, joint.intercepts);
      state.gate = with_intercept_column(state.gate, joint.intercepts);
      StudyRun run = climb(method, joint, std::move(state), expert, options);
      run.start = start;
      trial.runs.push_back(std::move(run));
    }
  }
  const double reference = trial.runs.front().mean_log_likelihood;
  for (StudyRun& run : trial.runs) {
    if (!run.available) continue;
    run.gap = reference - run.mean_log_likelihood;
    run.local_optimum = !(run.gap <= kLocalGap);
  }
  return trial;
}

GridlockStudy run_gridlock_study(const GridlockStudyOptions& options, const StudyProgress& progress) {
  GridlockStudy study;
  study.options = options;
  study.cells = study_cells(options);
  for (std::size_t cell = 0; cell < study.cells.size(); ++cell)
    for (int trial = 0; trial < study.cells[cell].trials; ++trial)
      study.trials.push_back(StudyTrial{.cell = static_cast<int>(cell), .trial = trial, .runs = {}});

  std::mutex lock;
  std::size_t done = 0;
  parallel_for(study.trials.size(), options.threads, [&](std::size_t task) {
    StudyTrial& slot = study.trials[task];
    const int cell = slot.cell;
    const StudyCell& where = study.cells[static_cast<std::size_t>(cell)];
    slot = run_study_trial(where, slot.trial, options);
    slot.cell = cell;
    const std::lock_guard guard(lock);
    ++done;
    if (progress)
      progress(static_cast<double>(done) / static_cast<double>(study.trials.size()),
               fmt::format("{}, {} experts, trial {}", where.name, where.problem.experts, slot.trial + 1));
  });
  return study;
}

StudySummary summarise(const GridlockStudy& study, int cell, StudyMethod method) {
  StudySummary summary;
  std::vector<double> iterations, regressors, gates, sigmas;
  std::vector<const StudyRun*> runs;
  for (const StudyTrial& trial : study.trials) {
    if (trial.cell != cell) continue;
    for (const StudyRun& run : trial.runs) {
      if (run.method != method) continue;
      ++summary.runs;
      if (!run.available) continue;
      runs.push_back(&run);
      summary.local_optima += run.local_optimum ? 1 : 0;
      iterations.push_back(run.iterations);
      regressors.push_back(run.regressor_error);
      gates.push_back(run.gate_error);
      sigmas.push_back(run.sigma_error);
    }
  }
  summary.available = static_cast<int>(runs.size());
  std::tie(summary.local_low, summary.local_high) = detail::wilson_interval(summary.local_optima, summary.available);
  summary.iterations = detail::median(iterations);
  summary.regressor_error = detail::median(regressors);
  summary.regressor_q10 = detail::quantile(regressors, 0.1);
  summary.regressor_q90 = detail::quantile(regressors, 0.9);
  summary.gate_error = detail::median(gates);
  summary.sigma_error = detail::median(sigmas);
  for (int iteration = 0; iteration <= study.options.trace && !runs.empty(); ++iteration) {
    std::vector<double> errors;
    for (const StudyRun* run : runs)
      if (!run->trace.empty())
        errors.push_back(run->trace[std::min(static_cast<std::size_t>(iteration), run->trace.size() - 1)]);
    summary.trace.push_back(detail::median(std::move(errors)));
  }
  return summary;
}

}  // namespace clearway
