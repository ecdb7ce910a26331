// Joint EM for k experts g(a_i'x) with one noise level behind a softmax gate: the baseline of the gridlock literature.
//
//   p(y | x) = sum_i softmax_i(W x) N(y | g(a_i'x), s2),      w_k = 0, no intercepts (append a column of ones for them)
//
// E-step with all parameters; weighted least squares (linear g) or one Levenberg-Marquardt step per expert; one guarded
// Newton step for the gate; pooled s2. It is plain on purpose, shares no code with fit() and so is also an outside
// check of it: where fit() searches, this climbs from the one start that it is given.
#pragma once

#include <functional>

#include "clearway/base/random.hpp"
#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway {

/// Parameters of the model above.
struct JointEmState {
  Matrix regressors;      ///< k x d, row i is a_i
  Matrix gate;            ///< k x d, last row 0
  double variance = 1.0;  ///< s2
};

struct JointEmOptions {
  ExpertSpec expert;           ///< g: linear, sigmoid, tanh, relu, leaky-relu or polynomial
  int max_iterations = 1000;   ///< one iteration is one E-step and one M-step
  double tolerance = 1e-9;     ///< stop when the mean log-likelihood rises by less; 0 runs all iterations
  bool estimate_noise = true;  ///< false keeps s2 at its start
  bool update_experts = true;  ///< false is EM for the gate with the regressors fixed
};

struct JointEmResult {
  JointEmState state;
  double mean_log_likelihood = 0.0;  ///< at `state`, per row
  int iterations = 0;
  bool converged = false;
};

/// Called with the parameters before each iteration (from 0) and once at the end, and their mean log-likelihood.
using JointEmObserver = std::function<void(int iteration, const JointEmState& state, double mean_log_likelihood)>;

/// Climbs from `start`. x is n x d, y has n entries. Throws std::invalid_argument for shapes that do not fit or an
/// expert kind that is no g(a'x).
JointEmResult joint_em(const Matrix& x, const Vector& y, JointEmState start, const JointEmOptions& options,
                       const JointEmObserver& observer = {});

/// Mean over rows of log p(y | x).
double joint_mean_log_likelihood(const Matrix& x, const Vector& y, const JointEmState& state, const ExpertSpec& expert);

/// Rows uniform on the unit sphere, gate W of row norm `gate_norm` (0: W = 0; the last row is 0 always), s2 = var(y).
JointEmState random_joint_start(const Vector& y, int experts, int dim, double gate_norm, RandomStream& stream);

/// g and its derivative, elementwise. Throws std::invalid_argument for a kind that is no g(a'x).
Vector apply_link(const ExpertSpec& expert, const Vector& index);
Vector apply_link_slope(const ExpertSpec& expert, const Vector& index);

}  // namespace clearway
