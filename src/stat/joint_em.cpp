#include "clearway/stat/joint_em.hpp"

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

constexpr double kGateRidge = 1e-6;  // keeps the Newton matrix positive definite; gridlock note, section 9.10
constexpr double kSmallestVariance = 1e-12;

// Rows of log softmax(X W').
Matrix log_gate(const Matrix& x, const Matrix& gate) {
  Matrix scores = x * gate.transpose();
  const Vector top = scores.rowwise().maxCoeff();
  scores.colwise() -= top;
  const Vector normaliser = scores.array().exp().rowwise().sum().log();
  return scores.colwise() - normaliser;
}

// log N(y | g(a_i'x), s2), n x k.
Matrix log_density(const Matrix& x, const Vector& y, const JointEmState& state, const ExpertSpec& expert) {
  Matrix density = x * state.regressors.transpose();
  const double constant = -0.5 * std::log(2.0 * M_PI * state.variance);
  for (Eigen::Index i = 0; i < density.cols(); ++i)
    density.col(i) = constant - (y - apply_link(expert, density.col(i))).array().square() / (2.0 * state.variance);
  return density;
}

// Replaces joint log-densities by responsibilities and returns the mean log-likelihood.
double normalise(Matrix& joint) {
  const Vector top = joint.rowwise().maxCoeff();
  joint = (joint.colwise() - top).array().exp();
  const Vector total = joint.rowwise().sum();
  joint = joint.array().colwise() / total.array();
  return (top.array() + total.array().log()).mean();
}

// The concave objective of the gate step: mean over rows of sum_i r_i log softmax_i.
double gate_objective(const Matrix& log_weights, const Matrix& responsibilities) {
  return (log_weights.array() * responsibilities.array()).sum() / static_cast<double>(log_weights.rows());
}

// One Newton step on the gate with Armijo backtracking; the last row stays 0.
void gate_step(const Matrix& x, const Matrix& responsibilities, Matrix& gate) {
  const Eigen::Index d = x.cols();
  const Eigen::Index free = gate.rows() - 1;
  if (free == 0) return;
  const double n = static_cast<double>(x.rows());
  const Matrix log_weights = log_gate(x, gate);
  const Matrix weights = log_weights.array().exp();
  const Matrix gradient = (responsibilities - weights).leftCols(free).transpose() * x / n;  // free x d

  Matrix hessian(free * d, free * d);
  for (Eigen::Index i = 0; i < free; ++i)
    for (Eigen::Index j = 0; j <= i; ++j) {
      const Vector curvature = i == j ? Vector(weights.col(i).array() * (1.0 - weights.col(i).array()))
                                      : Vector(-weights.col(i).array() * weights.col(j).array());
      const Matrix block = x.transpose() * (x.array().colwise() * curvature.array()).matrix() / n;
      hessian.block(i * d, j * d, d, d) = block;
      hessian.block(j * d, i * d, d, d) = block.transpose();
    }
  hessian.diagonal().array() += kGateRidge;

  Vector slope(free * d);
  for (Eigen::Index i = 0; i < free; ++i) slope.segment(i * d, d) = gradient.row(i).transpose();
  const Vector step = hessian.llt().solve(slope);
  const double gain = slope.dot(step);
  const double before = gate_objective(log_weights, responsibilities);
  Matrix moved = gate;
  for (double length = 1.0; length > 1e-8; length *= 0.5) {
    for (Eigen::Index i = 0; i < free; ++i) moved.row(i) = gate.row(i) + length * step.segment(i * d, d).transpose();
    if (gate_objective(log_gate(x, moved), responsibilities) >= before + 1e-4 * length * gain) {
      gate = moved;
      return;
    }
  }
}

// Weighted least squares (linear g) or one Levenberg-Marquardt step, damped until the weighted squares fall.
Vector expert_step(const Matrix& x, const Vector& y, const Vector& weights, Vector a, const ExpertSpec& expert) {
  const Eigen::Index d = x.cols();
  if (expert.kind == ExpertKind::linear) {
    const Matrix weighted = x.array().colwise() * weights.array();
    Matrix gram = x.transpose() * weighted;
    gram.diagonal().array() += 1e-12 * (gram.trace() / static_cast<double>(d) + 1e-300);
    return gram.llt().solve(weighted.transpose() * y);
  }
  const Vector index = x * a;
  const Vector residual = y - apply_link(expert, index);
  const double before = (weights.array() * residual.array().square()).sum();
  const Matrix jacobian = x.array().colwise() * apply_link_slope(expert, index).array();
  const Matrix weighted = jacobian.array().colwise() * weights.array();
  const Matrix gram = jacobian.transpose() * weighted;
  const Vector slope = weighted.transpose() * residual;
  double damping = 1e-3 * gram.trace() / static_cast<double>(d) + 1e-300;
  for (int attempt = 0; attempt < 12; ++attempt, damping *= 8.0) {
    Matrix damped = gram;
    damped.diagonal().array() += damping;
    const Vector moved = a + damped.llt().solve(slope);
    const Vector left = y - apply_link(expert, x * moved);
    if ((weights.array() * left.array().square()).sum() < before) return moved;
  }
  return a;
}

void check_shapes(const Matrix& x, const Vector& y, const JointEmState& state) {
  if (x.rows() != y.size()) user_error("inputs and response differ in length: {} and {} rows", x.rows(), y.size());
  if (state.regressors.rows() < 1 || state.regressors.cols() != x.cols())
    user_error("regressors must be k x {}, not {} x {}", x.cols(), state.regressors.rows(), state.regressors.cols());
  if (state.gate.rows() != state.regressors.rows() || state.gate.cols() != x.cols())
    user_error("the gate must be {} x {}, not {} x {}", state.regressors.rows(), x.cols(), state.gate.rows(),
               state.gate.cols());
  if (!(state.variance > 0.0)) user_error("the starting variance must be above 0, not {}", state.variance);
}

}  // namespace

Vector apply_link(const ExpertSpec& expert, const Vector& index) {
  const auto z = index.array();
  switch (expert.kind) {
    case ExpertKind::linear:
      return index;
    case ExpertKind::sigmoid:
      return 1.0 / (1.0 + (-z).exp());
    case ExpertKind::tanh:
      return z.tanh();
    case ExpertKind::relu:
      return z.max(0.0);
    case ExpertKind::leaky_relu:
      return (z > 0.0).select(z, expert.leak * z);
    case ExpertKind::polynomial:
      return z.pow(expert.degree);
    default:
      user_error("experts g(a'x) are linear, sigmoid, tanh, relu, leaky-relu or polynomial, not {}",
                 enum_name(expert.kind));
  }
}

Vector apply_link_slope(const ExpertSpec& expert, const Vector& index) {
  const auto z = index.array();
  switch (expert.kind) {
    case ExpertKind::linear:
      return Vector::Ones(index.size());
    case ExpertKind::sigmoid: {
      const Vector value = apply_link(expert, index);
      return value.array() * (1.0 - value.array());
    }
    case ExpertKind::tanh:
      return 1.0 - z.tanh().square();
    case ExpertKind::relu:
      return (z > 0.0).select(Vector::Ones(index.size()), Vector::Zero(index.size()));
    case ExpertKind::leaky_relu:
      return (z > 0.0).select(Vector::Ones(index.size()), Vector::Constant(index.size(), expert.leak));
    case ExpertKind::polynomial:
      return static_cast<double>(expert.degree) * z.pow(expert.degree - 1);
    default:
      user_error("experts g(a'x) are linear, sigmoid, tanh, relu, leaky-relu or polynomial, not {}",
                 enum_name(expert.kind));
  }
}

double joint_mean_log_likelihood(const Matrix& x, const Vector& y, const JointEmState& state,
                                 const ExpertSpec& expert) {
  check_shapes(x, y, state);
  Matrix joint = log_gate(x, state.gate) + log_density(x, y, state, expert);
  return normalise(joint);
}

JointEmState random_joint_start(const Vector& y, int experts, int dim, double gate_norm, RandomStream& stream) {
  const auto random_rows = [&](double norm) {
    Matrix rows(experts, dim);
    for (int i = 0; i < experts; ++i) {
      for (int j = 0; j < dim; ++j) rows(i, j) = stream.normal();
      rows.row(i) *= norm / rows.row(i).norm();
    }
    return rows;
  };
  JointEmState state;
  state.regressors = random_rows(1.0);
  state.gate = gate_norm > 0.0 ? random_rows(gate_norm) : Matrix::Zero(experts, dim);
  state.gate.row(experts - 1).setZero();
  state.variance = (y.array() - y.mean()).square().mean();
  return state;
}

JointEmResult joint_em(const Matrix& x, const Vector& y, JointEmState start, const JointEmOptions& options,
                       const JointEmObserver& observer) {
  check_shapes(x, y, start);
  JointEmResult result;
  result.state = std::move(start);
  JointEmState& state = result.state;
  const double n = static_cast<double>(x.rows());
  double last = -std::numeric_limits<double>::infinity();
  while (true) {
    const Matrix density = log_density(x, y, state, options.expert);
    Matrix responsibilities = log_gate(x, state.gate) + density;
    result.mean_log_likelihood = normalise(responsibilities);
    if (observer) observer(result.iterations, state, result.mean_log_likelihood);
    result.converged = std::abs(result.mean_log_likelihood - last) < options.tolerance;
    if (result.converged || result.iterations >= options.max_iterations) return result;
    last = result.mean_log_likelihood;

    double squares = 0.0;
    for (Eigen::Index i = 0; i < state.regressors.rows(); ++i) {
      const Vector weights = responsibilities.col(i);
      if (options.update_experts)
        state.regressors.row(i) =
            expert_step(x, y, weights, state.regressors.row(i).transpose(), options.expert).transpose();
      const Vector mean = apply_link(options.expert, x * state.regressors.row(i).transpose());
      squares += (weights.array() * (y - mean).array().square()).sum();
    }
    gate_step(x, responsibilities, state.gate);
    if (options.estimate_noise) state.variance = std::max(squares / n, kSmallestVariance);
    ++result.iterations;
  }
}

}  // namespace clearway
