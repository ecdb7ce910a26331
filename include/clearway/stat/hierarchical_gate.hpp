// A tree of binary gates over known experts, fitted by EM: the hierarchical mixture of experts (Jordan and Jacobs 1994)
// and, with it, the gated recurrent unit.
//
// Every inner node n sends a row to its right child with probability sigmoid(v_n . [1, x]); the weight of a leaf is the
// product along its path. With the experts at the leaves fixed, the M-step splits into one weighted logistic regression
// per node: the target is the share of the responsibility mass below n that lies to its right, the weight that mass
// (algorithm F of docs/spectral.md). The regressors come from spectral_regressors(), which needs to know nothing of the
// tree. Which expert sits at which leaf it cannot tell: fit_gate_tree() tries every assignment that matters and keeps
// the best likelihood.
//
// A GRU cell is such a mixture: h' = (1 - z) h + z ((1 - r) g0 + r g1), with root gate z and child gate r over leaf
// experts h, g0, g1 (Makkuva, Oh, Kannan and Viswanath, ICML 2019).
#pragma once

#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/gate_em.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway {

/// The shape of a binary tree. Node 0 is the root; a child c >= 0 is inner node c (always after its parent), a child
/// c < 0 is leaf -c - 1.
struct GateTree {
  struct Node {
    int left = -1;
    int right = -2;
  };
  std::vector<Node> nodes;

  int inner_nodes() const { return static_cast<int>(nodes.size()); }
  int leaves() const { return inner_nodes() + 1; }
  /// Throws std::invalid_argument unless every leaf 0..leaves()-1 and every inner node but the root is a child once.
  void check() const;
  /// Leaf 0 against leaves 1 and 2: the tree of a GRU cell. Root right = leave the old state, child right = reset open.
  static GateTree gru() { return {{{-1, 1}, {-2, -3}}}; }

  /// Log-weights of the leaves, n x leaves. Row i of `coefficients` (inner_nodes x (1 + q), intercept first) is node i.
  Matrix log_weights(const Matrix& gate_inputs, const Matrix& coefficients, int threads = 1) const;
  /// Assignments of experts to leaves that differ by more than the sign of gates: one per class of trees equal up to
  /// swapping the children of nodes; entry [leaf] is the expert. k!! of them for k leaves, so for small k only.
  std::vector<std::vector<int>> assignments() const;
};

struct GateTreeResult {
  std::vector<int> expert_of_leaf;  ///< the assignment kept
  Matrix coefficients;              ///< inner_nodes x (1 + q), intercept first
  double sigma = 0;
  double mean_log_likelihood = 0;
  Matrix responsibilities;  ///< n x k, by leaf
  int iterations = 0;
  bool converged = false;
  std::vector<double>
      assignment_log_likelihoods;  ///< per row, of every assignment tried, in the order of assignments()
};

/// EM for the node gates, experts fixed and assigned: column l of `means` (n x leaves) is the expert at leaf l. Options
/// as for gate_em(); `start`, when given, is inner_nodes x (1 + q); the steps are Newton's and the gates have intercepts.
GateTreeResult fit_gate_tree_assigned(const GateTree& tree, const Matrix& gate_inputs, const Vector& y,
                                      const Matrix& means, const GateEmOptions& options);

/// The same for every assignment of experts (columns of `means`) to leaves; the best likelihood is kept.
GateTreeResult fit_gate_tree(const GateTree& tree, const Matrix& gate_inputs, const Vector& y, const Matrix& means,
                             const GateEmOptions& options);

struct GateTreePolishOptions {
  ExpertSpec link;  ///< mean function g of every leaf
  int max_iterations = 200;
  double tolerance = 1e-9;  ///< stops when the mean log-likelihood rises by less
  double ridge = 1e-6;
  int threads = 1;
};

/// Joint EM from a fitted tree: one Newton step per node, one damped Gauss-Newton step per leaf expert (weighted least
/// squares for linear ones), the noise level. Row l of `regressors` (leaves x p) belongs to leaf l, mean
/// g(regressors_l . expert_inputs row); both arguments are improved in place.
void polish_gate_tree(const GateTree& tree, const Matrix& gate_inputs, const Matrix& expert_inputs, const Vector& y,
                      const GateTreePolishOptions& options, Matrix& regressors, GateTreeResult& fit);

}  // namespace clearway
