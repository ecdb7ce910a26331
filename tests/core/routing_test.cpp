// Routing statistics against values worked out by hand, and laws for all score tables.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/core/routing.hpp"
#include "laws/generated.hpp"

namespace clearway {
namespace {

constexpr double kTight = 1e-14;

TEST(Routing, TopTwoOfAWorkedTable) {
  Matrix scores(3, 3);
  scores << 0, std::log(3.0), -5,  //
      2, 2, 2,                     //
      -1, 0, 1;
  const Routing routing = route_top_k(scores, 2);
  EXPECT_EQ(routing.expert_count, 3);
  EXPECT_EQ(routing.experts(0, 0), 1);
  EXPECT_EQ(routing.experts(0, 1), 0);
  EXPECT_NEAR(routing.weights(0, 0), 0.75, kTight);
  EXPECT_EQ(routing.experts(1, 0), 0);  // equal scores: the first
  EXPECT_EQ(routing.experts(1, 1), 1);
  EXPECT_EQ(routing.experts(2, 0), 2);
  EXPECT_EQ(routing.experts(2, 1), 1);
  const Vector load = routing_load(routing);  // 2, 3, 1 of 6
  EXPECT_NEAR(load(0), 2.0 / 6, kTight);
  EXPECT_NEAR(load(1), 3.0 / 6, kTight);
  EXPECT_NEAR(load(2), 1.0 / 6, kTight);
  const double sigmoid_one = 1 / (1 + std::exp(-1.0));
  const Vector importance = routing_importance(routing);
  EXPECT_NEAR(importance(0), (0.25 + 0.5) / 3, kTight);
  EXPECT_NEAR(importance(1), (0.75 + 0.5 + 1 - sigmoid_one) / 3, kTight);
  EXPECT_NEAR(importance(2), sigmoid_one / 3, kTight);
  EXPECT_NEAR(routing_statistics(routing).margin, (0.5 + 0 + 2 * sigmoid_one - 1) / 3, kTight);
}

// p = (1/2, 1/4, 1/8, 1/8): scipy.stats.entropy(p) / log 4 = 0.875, exp(entropy) = 3.363585661014858,
// scipy.stats.variation(p) = 0.6123724356957945.
TEST(Routing, EntropyEffectiveExpertsAndVariation) {
  const Vector p = (Vector(4) << 0.5, 0.25, 0.125, 0.125).finished();
  EXPECT_NEAR(normalised_entropy(p), 0.875, kTight);
  EXPECT_NEAR(effective_experts(p), 3.363585661014858, kTight);
  EXPECT_NEAR(coefficient_of_variation(p), 0.6123724356957945, kTight);
}

TEST(Routing, BalanceAndCollapseAreTheEndsOfEveryScale) {
  const int k = 8, n = 64;
  Matrix balanced = Matrix::Zero(n, k), collapsed = Matrix::Zero(n, k);
  for (int i = 0; i < n; ++i) balanced(i, i % k) = 1, collapsed(i, 3) = 1;
  const RoutingStatistics even = routing_statistics(route_top_k(balanced, 1));
  EXPECT_NEAR(even.load_entropy, 1, kTight);
  EXPECT_NEAR(even.effective_experts, k, kTight * k);
  EXPECT_NEAR(even.load_variation, 0, kTight);
  EXPECT_NEAR(even.largest_load, 1, kTight);
  EXPECT_TRUE(even.dead.empty());
  const RoutingStatistics jam = routing_statistics(route_top_k(collapsed, 1));
  EXPECT_NEAR(jam.load_entropy, 0, kTight);
  EXPECT_NEAR(jam.effective_experts, 1, kTight);
  EXPECT_NEAR(jam.load_variation, std::sqrt(k - 1.0), kTight * k);  // one k, the others 0: variance k - 1 at mean 1
  EXPECT_NEAR(jam.largest_load, k, kTight * k);
  EXPECT_EQ(jam.dead, (std::vector<int>{0, 1, 2, 4, 5, 6, 7}));
  EXPECT_EQ(jam.margin, 1);
  EXPECT_NE(jam.brief().find("dead 0, 1, 2, 4, 5, 6, 7"), std::string::npos) << jam.brief();
}

TEST(Routing, DenseGateCountsTheHeaviestExpert) {
  Matrix weights(2, 3);
  weights << 0.5, 0.3, 0.2, 0.1, 0.1, 0.8;
  const RoutingStatistics s = dense_routing_statistics(weights.array().log().matrix());
  EXPECT_NEAR(s.load(0), 0.5, kTight);
  EXPECT_NEAR(s.load(1), 0.0, kTight);
  EXPECT_NEAR(s.load(2), 0.5, kTight);
  EXPECT_NEAR(s.importance(0), 0.3, kTight);
  EXPECT_NEAR(s.importance(1), 0.2, kTight);
  EXPECT_NEAR(s.importance(2), 0.5, kTight);
  EXPECT_NEAR(s.margin, (0.2 + 0.7) / 2, kTight);
  EXPECT_EQ(s.dead, (std::vector<int>{1}));
}

TEST(Routing, SharesSumToOneAndScoresBoundThemForAllTables) {
  EXPECT_TRUE(laws::holds("load and importance sum to 1; entropies lie in [0, 1]; the best expert is never missed",
                          [](laws::Problem& problem) {
                            const Matrix scores = laws::normal_array(problem.random, problem.n, problem.k, 3).matrix();
                            const int count = static_cast<int>(problem.between(1, problem.k));
                            const Routing routing = route_top_k(scores, count);
                            const RoutingStatistics s = routing_statistics(routing);
                            laws::require(std::abs(s.load.sum() - 1) < 1e-13);
                            laws::require(std::abs(s.importance.sum() - 1) < 1e-13);
                            laws::require(s.load_entropy > -1e-13 && s.load_entropy < 1 + 1e-13);
                            laws::require(s.row_entropy > -1e-13 && s.row_entropy < 1 + 1e-13);
                            laws::require(s.largest_load > 1 - 1e-13);
                            for (Eigen::Index i = 0; i < problem.n; ++i) {
                              Eigen::Index best = 0;
                              scores.row(i).maxCoeff(&best);
                              laws::require(routing.experts(i, 0) == best);
                            }
                          }));
}

TEST(Routing, MistakesAreNamed) {
  EXPECT_THROW(route_top_k(Matrix::Zero(2, 3), 0), std::invalid_argument);
  EXPECT_THROW(route_top_k(Matrix::Zero(2, 3), 4), std::invalid_argument);
  EXPECT_THROW(routing_statistics(route_top_k(Matrix::Zero(0, 3), 1)), std::invalid_argument);
  Routing wrong = route_top_k(Matrix::Zero(2, 3), 1);
  wrong.experts(0, 0) = 3;
  EXPECT_THROW(routing_load(wrong), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
