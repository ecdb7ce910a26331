#include "clearway/stat/hierarchical_gate.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "clearway/base/errors.hpp"
#include "clearway/stat/response_transform.hpp"
#include "clearway/stat/softmax_step.hpp"

namespace clearway {
namespace {

/// Leaves below a child, in increasing order.
std::vector<int> leaves_below(const GateTree& tree, int child) {
  if (child < 0) return {-child - 1};
  const GateTree::Node& node = tree.nodes[static_cast<std::size_t>(child)];
  std::vector<int> left = leaves_below(tree, node.left);
  const std::vector<int> right = leaves_below(tree, node.right);
  left.insert(left.end(), right.begin(), right.end());
  std::sort(left.begin(), left.end());
  return left;
}

/// The experts below a child as a string that does not change when children are swapped.
std::string unordered_shape(const GateTree& tree, int child, const std::vector<int>& expert_of_leaf) {
  if (child < 0) return fmt::format("{}", expert_of_leaf[static_cast<std::size_t>(-child - 1)]);
  const GateTree::Node& node = tree.nodes[static_cast<std::size_t>(child)];
  std::string left = unordered_shape(tree, node.left, expert_of_leaf);
  std::string right = unordered_shape(tree, node.right, expert_of_leaf);
  if (right < left) std::swap(left, right);
  return fmt::format("({} {})", left, right);
}

Vector mass_of(const Matrix& responsibilities, const std::vector<int>& leaves) {
  Vector mass = Vector::Zero(responsibilities.rows());
  for (const int leaf : leaves) mass += responsibilities.col(leaf);
  return mass;
}

/// One Levenberg-Marquardt step for sum_t weight_t (y_t - g(a . x_t))^2; never raises it.
void expert_step(const ExpertSpec& link, const Matrix& x, const Vector& y, const Vector& weight, Vector& a) {
  const auto loss = [&](const Vector& trial) {
    Matrix mean;
    mean_function(link, x * trial, mean);
    return weight.dot((y - mean.col(0)).cwiseAbs2());
  };
  Matrix mean, slope;
  mean_function(link, x * a, mean, &slope);
  const Vector residual = y - mean.col(0);
  const Vector weighted_slope = weight.cwiseProduct(slope.col(0));
  const Matrix gram = x.transpose() * weighted_slope.cwiseProduct(slope.col(0)).asDiagonal() * x;
  const Vector gradient = x.transpose() * weighted_slope.cwiseProduct(residual);
  const double before = weight.dot(residual.cwiseAbs2());
  const double unit = gram.trace() / static_cast<double>(x.cols());
  double damping = link.kind == ExpertKind::linear ? 1e-10 * unit : 1e-3 * unit;
  for (int attempt = 0; attempt < 10; ++attempt, damping *= 8) {
    Matrix damped = gram;
    damped.diagonal().array() += damping;
    const Vector trial = a + damped.llt().solve(gradient);
    if (trial.allFinite() && loss(trial) <= before) {
      a = trial;
      return;
    }
  }
}

}  // namespace

void GateTree::check() const {
  if (nodes.empty()) user_error("a gate tree needs at least one node");
  std::set<int> children;
  for (int i = 0; i < inner_nodes(); ++i)
    for (const int child : {nodes[static_cast<std::size_t>(i)].left, nodes[static_cast<std::size_t>(i)].right}) {
      if (child >= 0 && (child <= i || child >= inner_nodes()))
        user_error("node {} of the gate tree has child {}, which is not a later node", i, child);
      if (child < -leaves())
        user_error("node {} of the gate tree has leaf {}, but there are {}", i, -child - 1, leaves());
      if (!children.insert(child).second) user_error("the gate tree uses child {} twice", child);
    }
}

Matrix GateTree::log_weights(const Matrix& gate_inputs, const Matrix& coefficients, int threads) const {
  if (coefficients.rows() != inner_nodes() || coefficients.cols() != gate_inputs.cols() + 1)
    user_error("the coefficients of the gate tree must be {} x {}, not {} x {}", inner_nodes(), gate_inputs.cols() + 1,
               coefficients.rows(), coefficients.cols());
  const Matrix features = with_ones(gate_inputs);
  Matrix result = Matrix::Zero(gate_inputs.rows(), leaves());
  for (int i = 0; i < inner_nodes(); ++i) {
    Matrix two = Matrix::Zero(2, features.cols());
    two.row(0) = coefficients.row(i);  // class 0 is "right", class 1 the pinned one
    const Matrix log_p = log_softmax_rows(features, two, threads);
    for (const int leaf : leaves_below(*this, nodes[static_cast<std::size_t>(i)].right))
      result.col(leaf) += log_p.col(0);
    for (const int leaf : leaves_below(*this, nodes[static_cast<std::size_t>(i)].left))
      result.col(leaf) += log_p.col(1);
  }
  return result;
}

std::vector<std::vector<int>> GateTree::assignments() const {
  check();
  if (leaves() > 8)
    user_error("a gate tree with {} leaves has too many assignments to try; at most 8 leaves", leaves());
  std::vector<std::vector<int>> result;
  std::set<std::string> seen;
  std::vector<int> order(static_cast<std::size_t>(leaves()));
  std::iota(order.begin(), order.end(), 0);
  do {
    if (seen.insert(unordered_shape(*this, 0, order)).second) result.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return result;
}

GateTreeResult fit_gate_tree_assigned(const GateTree& tree, const Matrix& gate_inputs, const Vector& y,
                                      const Matrix& means, const GateEmOptions& options) {
  tree.check();
  if (means.cols() != tree.leaves() || means.rows() != y.size() || gate_inputs.rows() != y.size())
    user_error("a gate tree of {} leaves got means {} x {}, {} responses and {} rows of gate inputs", tree.leaves(),
               means.rows(), means.cols(), y.size(), gate_inputs.rows());
  const Matrix features = with_ones(gate_inputs);
  const bool estimate = std::isnan(options.sigma);
  double variance = estimate ? detail::nearest_square(y, means) : options.sigma * options.sigma;
  const Matrix squares = (means.colwise() - y).array().square();
  const SoftmaxStepOptions step_options{.ridge = options.ridge, .threads = options.threads};

  GateTreeResult result;
  result.expert_of_leaf.resize(static_cast<std::size_t>(tree.leaves()));
  std::iota(result.expert_of_leaf.begin(), result.expert_of_leaf.end(), 0);
  result.coefficients =
      options.start.size() > 0 ? options.start : Matrix(Matrix::Zero(tree.inner_nodes(), features.cols()));
  double previous = -std::numeric_limits<double>::infinity();
  for (;; ++result.iterations) {
    result.responsibilities = tree.log_weights(gate_inputs, result.coefficients, options.threads) +
                              detail::gaussian_log_density(y, means, variance);
    result.mean_log_likelihood = detail::rows_to_responsibilities(result.responsibilities);
    result.converged = result.iterations > 0 && result.mean_log_likelihood - previous < options.tolerance;
    if (result.converged || result.iterations >= options.max_iterations) break;
    previous = result.mean_log_likelihood;
    for (int i = 0; i < tree.inner_nodes(); ++i) {
      const GateTree::Node& node = tree.nodes[static_cast<std::size_t>(i)];
      Matrix targets(y.size(), 2);
      targets.col(0) = mass_of(result.responsibilities, leaves_below(tree, node.right));
      targets.col(1) = mass_of(result.responsibilities, leaves_below(tree, node.left));
      Matrix two = Matrix::Zero(2, features.cols());
      two.row(0) = result.coefficients.row(i);
      softmax_newton_step(features, targets, two, step_options);
      result.coefficients.row(i) = two.row(0);
    }
    if (estimate)
      variance = std::max(result.responsibilities.cwiseProduct(squares).sum() / static_cast<double>(y.size()), 1e-300);
  }
  result.sigma = std::sqrt(variance);
  return result;
}

GateTreeResult fit_gate_tree(const GateTree& tree, const Matrix& gate_inputs, const Vector& y, const Matrix& means,
                             const GateEmOptions& options) {
  GateTreeResult best;
  std::vector<double> tried;
  for (const std::vector<int>& order : tree.assignments()) {
    if (means.cols() != tree.leaves()) user_error("a tree of {} leaves got {} experts", tree.leaves(), means.cols());
    Matrix assigned(means.rows(), means.cols());
    for (int leaf = 0; leaf < tree.leaves(); ++leaf)
      assigned.col(leaf) = means.col(order[static_cast<std::size_t>(leaf)]);
    GateTreeResult result = fit_gate_tree_assigned(tree, gate_inputs, y, assigned, options);
    result.expert_of_leaf = order;
    tried.push_back(result.mean_log_likelihood);
    if (tried.size() == 1 || result.mean_log_likelihood > best.mean_log_likelihood) best = std::move(result);
  }
  best.assignment_log_likelihoods = tried;
  return best;
}

void polish_gate_tree(const GateTree& tree, const Matrix& gate_inputs, const Matrix& expert_inputs, const Vector& y,
                      const GateTreePolishOptions& options, Matrix& regressors, GateTreeResult& fit) {
  if (regressors.rows() != tree.leaves() || regressors.cols() != expert_inputs.cols())
    user_error("the regressors of a gate tree must be {} x {}, not {} x {}", tree.leaves(), expert_inputs.cols(),
               regressors.rows(), regressors.cols());
  const double n = static_cast<double>(y.size());
  GateEmOptions one_step;
  one_step.max_iterations = 1;
  one_step.ridge = options.ridge;
  one_step.threads = options.threads;
  double previous = -std::numeric_limits<double>::infinity();
  const std::vector<int> assignment = fit.expert_of_leaf;
  const std::vector<double> tried = fit.assignment_log_likelihoods;
  int iteration = 0;
  for (;; ++iteration) {
    Matrix means;
    mean_function(options.link, expert_inputs * regressors.transpose(), means);
    one_step.start = fit.coefficients;
    one_step.sigma = fit.sigma;
    fit = fit_gate_tree_assigned(tree, gate_inputs, y, means, one_step);
    fit.converged = iteration > 0 && fit.mean_log_likelihood - previous < options.tolerance;
    if (fit.converged || iteration >= options.max_iterations) break;
    previous = fit.mean_log_likelihood;
    for (Eigen::Index l = 0; l < regressors.rows(); ++l) {
      Vector a = regressors.row(l).transpose();
      expert_step(options.link, expert_inputs, y, fit.responsibilities.col(l), a);
      regressors.row(l) = a.transpose();
    }
    mean_function(options.link, expert_inputs * regressors.transpose(), means);
    const double square = fit.responsibilities.cwiseProduct(Matrix((means.colwise() - y).array().square())).sum() / n;
    fit.sigma = std::sqrt(std::max(square, 1e-300));
  }
  fit.iterations = iteration;
  fit.expert_of_leaf = assignment;
  fit.assignment_log_likelihoods = tried;
}

}  // namespace clearway
