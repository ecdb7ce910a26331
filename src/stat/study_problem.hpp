// A gridlock problem in the parameters of joint EM, and the steps that the studies share.
#pragma once

#include "clearway/stat/compare.hpp"
#include "clearway/stat/study_gridlock.hpp"

namespace clearway::detail {

/// Intercepts, where the scenario has any, are a last column of ones.
struct JointProblem {
  Matrix x;
  Vector y;
  JointEmState truth;
  Eigen::Index dim = 0;
  bool intercepts = false;
};

JointProblem as_joint_problem(const Problem& problem);

/// A column of zeros behind the slopes where the problem has intercepts.
Matrix with_intercept_column(const Matrix& slopes, bool intercepts);

/// Regressor and gate errors without intercepts.
RecoveryErrors errors_of(const JointEmState& state, const JointProblem& joint, bool sign_free = false);

/// How the studies call the spectral method: noise not known, unit length where the scenario has it.
SpectralOptions spectral_options(const StudyCell& cell, std::int64_t seed);

/// EM for the gate from W = 0 with the regressors fixed (gate_em.hpp), the noise estimated or held at the truth. The
/// result is the start of joint EM; `path` gets the gate before every iteration and at the end.
JointEmState gate_em_from_zero(const JointProblem& joint, const Matrix& regressors, const ExpertSpec& expert,
                               bool estimate_noise = true, std::vector<Matrix>* path = nullptr);

/// The problem of one trial of a cell.
Problem trial_problem(const StudyCell& cell, int trial, std::int64_t seed);
std::int64_t trial_seed(const StudyCell& cell, int trial, std::int64_t seed);

}  // namespace clearway::detail
