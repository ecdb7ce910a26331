// Routing: which experts each row goes to, and what that says about balance and collapse.
//
// The same statistics serve a fitted gate (does every expert have rows of its own?) and a sparse layer (do all tokens
// queue for two experts?). Load and importance: Shazeer et al. 2017 (arXiv 1701.06538), section 4.
#pragma once

#include <string>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// The K experts of every row, best first, and their weights.
struct Routing {
  int expert_count = 0;     ///< k, experts to choose from
  Eigen::ArrayXXi experts;  ///< n x K, numbers from 0
  Matrix weights;           ///< n x K, rows sum to 1
};

/// The `count` highest scores of every row, weighted by their softmax; ties go to the first expert.
/// scores: n x k. Throws std::invalid_argument unless 1 <= count <= k.
Routing route_top_k(const ConstMatrixRef& scores, int count);

/// Fraction of the assignments that each expert got: k numbers that sum to 1 (all 0 without rows).
Vector routing_load(const Routing& routing);
/// Mean weight that each expert got per row: k numbers that sum to 1 (all 0 without rows).
Vector routing_importance(const Routing& routing);

/// Entropy -sum p log p of a distribution divided by log k: 1 when uniform, 0 when all is on one; 1 for k = 1.
double normalised_entropy(const ConstVectorRef& distribution);
/// exp(entropy): how many experts are used in effect, between 1 and k.
double effective_experts(const ConstVectorRef& distribution);
/// Standard deviation (divisor k) over mean; 0 when the mean is 0. Its square is the balance loss of Shazeer et al.
double coefficient_of_variation(const ConstVectorRef& values);
/// Experts whose share is below threshold / k, in increasing order. 0.1 marks an expert with under a tenth of its fair
/// share.
std::vector<int> dead_experts(const ConstVectorRef& shares, double threshold = 0.1);

/// Balance and sharpness of a routing in a few numbers.
struct RoutingStatistics {
  Vector load;                      ///< k, see routing_load
  Vector importance;                ///< k, see routing_importance
  double load_entropy = 0;          ///< normalised entropy of the load; 1 is balanced
  double importance_entropy = 0;    ///< normalised entropy of the importance
  double load_variation = 0;        ///< coefficient of variation of the load; 0 is balanced
  double importance_variation = 0;  ///< coefficient of variation of the importance
  double effective_experts = 0;     ///< exp(entropy of the load)
  double largest_load = 0;          ///< largest load times k: 1 when balanced, k when one expert takes all
  double row_entropy = 0;  ///< mean over rows of the normalised entropy of the K weights; 0: each row uses one expert
  double margin = 0;       ///< mean over rows of first minus second weight; 1 for K = 1
  std::vector<int> dead;   ///< dead_experts(load)

  /// One line.
  std::string brief() const;
};

/// Statistics of a routing. Throws std::invalid_argument when it has no rows or shapes do not fit.
RoutingStatistics routing_statistics(const Routing& routing);
/// Statistics of a dense gate: every row goes to all k experts with the weights exp(log_weights), n x k, and its
/// assignment counts for the expert with the largest weight.
RoutingStatistics dense_routing_statistics(const ConstMatrixRef& log_weights);

}  // namespace clearway
