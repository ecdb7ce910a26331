#include "study_problem.hpp"

#include <cmath>

#include "clearway/stat/gate_em.hpp"

namespace clearway::detail {
JointProblem as_joint_problem(const Problem& problem) {
  JointProblem joint;
  const ScenarioOptions& options = problem.options;
  const Eigen::Index k = options.experts;
  joint.dim = options.dim;
  joint.intercepts = options.expert_intercepts > 0 || options.gate_intercepts > 0;
  const Eigen::Index columns = joint.dim + (joint.intercepts ? 1 : 0);
  joint.x.resize(problem.data.rows(), columns);
  joint.x.leftCols(joint.dim) = problem.data.expert_inputs;
  if (joint.intercepts) joint.x.col(joint.dim).setOnes();
  joint.y = problem.data.response.col(0);
  joint.truth.regressors.resize(k, columns);
  joint.truth.gate.resize(k, columns);
  for (Eigen::Index i = 0; i < k; ++i) {
    const Vector& expert = problem.truth.experts[static_cast<std::size_t>(i)].parameters();
    const auto gate = problem.truth.gate.block(static_cast<int>(i));
    joint.truth.regressors.row(i).head(joint.dim) = expert.segment(1, joint.dim).transpose();
    joint.truth.gate.row(i).head(joint.dim) = gate.tail(joint.dim).transpose();
    if (joint.intercepts) {
      joint.truth.regressors(i, joint.dim) = expert(0);
      joint.truth.gate(i, joint.dim) = gate(0);
    }
  }
  joint.truth.variance = options.noise * options.noise;
  return joint;
}

Matrix with_intercept_column(const Matrix& slopes, bool intercepts) {
  if (!intercepts) return slopes;
  Matrix rows = Matrix::Zero(slopes.rows(), slopes.cols() + 1);
  rows.leftCols(slopes.cols()) = slopes;
  return rows;
}

RecoveryErrors errors_of(const JointEmState& state, const JointProblem& joint, bool sign_free) {
  return recovery_errors(state.regressors.leftCols(joint.dim), state.gate.leftCols(joint.dim),
                         joint.truth.regressors.leftCols(joint.dim), joint.truth.gate.leftCols(joint.dim), sign_free);
}

SpectralOptions spectral_options(const StudyCell& cell, std::int64_t seed) {
  SpectralOptions options;
  options.experts = cell.problem.experts;
  options.link = cell.problem.expert;
  options.inputs = cell.inputs;
  const bool unit = cell.problem.norms.empty() && cell.problem.inputs != InputKind::anisotropic &&
                    cell.problem.inputs != InputKind::gmm;
  options.length = unit ? RegressorLength::unit : RegressorLength::automatic;
  // The parity that makes two experts unbiased for any gate needs y as it is; intercepts need it centred.
  options.centre_response = cell.problem.expert_intercepts > 0;
  options.seed = static_cast<std::uint64_t>(seed);
  return options;
}

JointEmState gate_em_from_zero(const JointProblem& joint, const Matrix& regressors, const ExpertSpec& expert,
                               bool estimate_noise, std::vector<Matrix>* path) {
  Matrix means = joint.x * regressors.transpose();
  for (Eigen::Index i = 0; i < means.cols(); ++i) means.col(i) = apply_link(expert, means.col(i));
  GateEmOptions options;
  options.intercept = false;  // the problem's own column of ones where it has intercepts
  if (!estimate_noise) options.sigma = std::sqrt(joint.truth.variance);
  GateEmResult result = gate_em(joint.x, joint.y, means, options, path != nullptr);
  if (path != nullptr) *path = std::move(result.coefficients_history);
  return {regressors, result.coefficients, result.sigma * result.sigma};
}

std::int64_t trial_seed(const StudyCell& cell, int trial, std::int64_t seed) {
  return seed * 1000000 + 1000 * cell.problem.experts + trial;
}

Problem trial_problem(const StudyCell& cell, int trial, std::int64_t seed) {
  ScenarioOptions scenario = cell.problem;
  scenario.seed = trial_seed(cell, trial, seed);
  return make_problem(scenario);
}

}  // namespace clearway::detail
