// Every policy on four experts, against numbers computed here from its formula. Routers read the inputs as their scores:
// the linear map is the identity.
#include <algorithm>
#include <numeric>
#include <set>

#include "clearway/core/gates/sigmoid.hpp"
#include "clearway/deep/losses.hpp"
#include "clearway/deep/routers/base.hpp"
#include "clearway/deep/routers/growing.hpp"
#include "clearway/deep/routers/noisy.hpp"
#include "clearway/deep/routers/relu.hpp"
#include "clearway/deep/routers/sigmoid.hpp"
#include "clearway/deep/routers/stable.hpp"
#include "routing_cases.hpp"

namespace clearway::deep {
namespace {

constexpr std::int64_t kN = 4;

torch::Tensor scores() {
  return table({{2, 1, 0, -1}, {3, 0.5, 2, 1}, {0, -1, 4, 1.5}});
}
torch::Tensor identity() {
  return at::eye(kN, at::kDouble);
}

/// Experts that no policy here asks for more than an answer; made once, so that drawing them disturbs no seed.
ExpertBank& bank() {
  static ExpertBank experts = small_bank(kN, kN);
  return experts;
}
std::shared_ptr<Router> router(RouterOptions options, std::int64_t steps = 0) {
  bank();
  torch::manual_seed(1);
  auto out = small_router(options, kN, kN, steps);
  const auto parameters = out->named_parameters();
  if (parameters.contains("network.gate.slopes")) set(*out, "network.gate.slopes", identity());
  return out;
}
Routing routed(Router& policy, const torch::Tensor& x, bool training, std::int64_t step = 0,
               const torch::Tensor& ids = {}) {
  return policy.route({.x = x, .ids = ids, .training = training, .step = step}, bank());
}
double e(double t) {
  return std::exp(t);
}
double logistic(double t) {
  return 1 / (1 + std::exp(-t));
}
double phi(double t) {
  return 0.5 * std::erfc(-t / std::sqrt(2.0));
}

TEST(Policies, Smoe) {
  const auto policy = router({.router = RouterKind::smoe});
  const Routing out = routed(*policy, scores(), true);
  const double a = e(2) / (e(2) + e(1)), b = e(3) / (e(3) + e(2)), c = e(4) / (e(4) + e(1.5));
  EXPECT_LT(distance(weight_table(out, 3, kN), table({{a, 1 - a, 0, 0}, {b, 0, 1 - b, 0}, {0, 0, c, 1 - c}})), 1e-12);
  // Assignments: expert 0 twice, 1 once, 2 twice, 3 once.
  const torch::Tensor p = scores().softmax(1).mean(0);
  const double expected = 4 * (p * torch::tensor({2.0, 1.0, 2.0, 1.0}, at::kDouble) / 6).sum().item<double>();
  EXPECT_NEAR(out.auxiliary_loss.item<double>(), 0.01 * expected, 1e-12);
  EXPECT_FALSE(routed(*policy, scores(), false).auxiliary_loss.defined());
  const auto raw = router({.router = RouterKind::smoe, .weights = WeightForm::probability});
  EXPECT_NEAR(routed(*raw, scores(), true).assignments.weights[0].item<double>(), e(2) / (e(2) + e(1) + 1 + e(-1)),
              1e-12);
}

TEST(Policies, SwitchIsTopOneWithItsProbability) {
  const auto policy = router({.router = RouterKind::switch_top1});
  const Routing out = routed(*policy, scores(), true);
  EXPECT_EQ(out.assignments.count(), 3);
  EXPECT_NEAR(out.assignments.weights[1].item<double>(), e(3) / (e(3) + e(.5) + e(2) + e(1)), 1e-12);
  const torch::Tensor p = scores().softmax(1).mean(0);
  EXPECT_NEAR(out.auxiliary_loss.item<double>(),
              0.01 * 4 * (2.0 / 3 * p[0].item<double>() + 1.0 / 3 * p[2].item<double>()), 1e-12);
}

TEST(Policies, RandomIsFrozenAndDenseTakesAll) {
  const auto random = router({.router = RouterKind::random});
  EXPECT_TRUE(random->parameters().empty());
  EXPECT_FALSE(random->buffers().empty());
  const Routing controlled = routed(*random, scores(), true);
  EXPECT_EQ(controlled.assignments.count(), 6);
  EXPECT_FALSE(controlled.auxiliary_loss.defined());
  const auto dense = router({.router = RouterKind::dense});
  EXPECT_LT(distance(weight_table(routed(*dense, scores(), true), 3, kN), scores().softmax(1)), 1e-12);
}

TEST(Policies, NoisyLoadIsTheChanceToBeChosenUnderNewNoise) {
  const torch::Tensor clean = table({{1, 2, 0, -1}}), noisy = table({{1.5, 1.2, 0.4, -2}}), s = table({{.5, 1, 2, .7}});
  // K = 2: those inside compare with the third, 0.4, the others with the second, 1.2.
  const torch::Tensor expected =
      torch::tensor({phi((1 - .4) / .5), phi((2 - .4) / 1), phi((0 - 1.2) / 2), phi((-1 - 1.2) / .7)}, at::kDouble);
  EXPECT_LT(distance(noisy_load(clean, noisy, s, 2), expected), 1e-12);
  EXPECT_LT(distance(noisy_load(clean, noisy, s, 4), at::ones({4}, at::kDouble)), 1e-12);
}

TEST(Policies, NoisyAddsNoiseOnlyWhileTraining) {
  const auto policy = router({.router = RouterKind::noisy});
  set(*policy, "weight", identity());
  const torch::Tensor noise_weight = 0.3 * identity();
  set(*policy, "noise_weight", noise_weight);
  torch::manual_seed(7);
  const torch::Tensor deviation = at::softplus(0.3 * scores()) + 0.01;
  const torch::Tensor noisy = scores() + at::randn({3, 4}, at::kDouble) * deviation;
  torch::manual_seed(7);
  const Routing out = routed(*policy, scores(), true);
  EXPECT_LT(distance(out.scores, noisy), 1e-12);
  const torch::Tensor importance = weight_table(out, 3, kN).sum(0);
  const torch::Tensor load = noisy_load(scores(), noisy, deviation, 2);
  EXPECT_NEAR(out.auxiliary_loss.item<double>(),
              0.1 * (squared_variation(importance) + squared_variation(load)).item<double>(), 1e-12);
  EXPECT_LT(distance(routed(*policy, scores(), false).scores, scores()), 1e-15);
}

TEST(Policies, GShardKeepsTheSecondExpertWithTwiceItsWeight) {
  const auto policy = router({.router = RouterKind::gshard});
  const torch::Tensor many = table({{2, 0, -1, -2}}).expand({20000, 4});
  const double second = 1 / (e(2) + 1);
  torch::manual_seed(2);
  const Routing out = routed(*policy, many, true);
  const double kept = static_cast<double>(out.assignments.count() - 20000) / 20000;
  EXPECT_NEAR(kept, 2 * second, 4 * std::sqrt(0.25 / 20000));  // four standard deviations at most
  EXPECT_NEAR(out.assignments.weights[0].item<double>(), 1 - second, 1e-12);
  const torch::Tensor p = table({{2, 0, -1, -2}}).softmax(1);
  EXPECT_NEAR(out.auxiliary_loss.item<double>(), 0.01 * 4 * p[0][0].item<double>(), 1e-12);
  EXPECT_EQ(routed(*policy, many, false).assignments.count(), 40000);
  // A second weight of a half is always kept.
  EXPECT_EQ(routed(*policy, at::zeros({50, 4}, at::kDouble), true).assignments.count(), 100);
}

TEST(Policies, CosineRouters) {
  const torch::Tensor x = scores();
  const torch::Tensor directions = table({{2, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, .5, 0}, {0, 0, 0, 3}});
  const auto xmoe = router({.router = RouterKind::xmoe, .router_dimension = 4});
  set(*xmoe, "projection", identity());
  set(*xmoe, "gate.directions", directions);
  const torch::Tensor lengths = x.norm(2, 1, true);
  EXPECT_LT(distance(routed(*xmoe, x, true).scores, x / lengths / 0.07), 1e-5);  // log 0.07 was rounded to float
  const auto cosine = router({.router = RouterKind::cosine, .router_dimension = 4});
  set(*cosine, "projection", identity());
  set(*cosine, "gate.directions", directions);
  const torch::Tensor norms = torch::tensor({2.0, 1.0, 0.5, 3.0}, at::kDouble);
  const torch::Tensor expected = x / (lengths + 0.1) * (norms / (norms + 0.1)) / 0.3;
  EXPECT_LT(distance(routed(*cosine, x, true).scores, expected), 1e-12);
  EXPECT_THROW(router({.router = RouterKind::cosine, .router_temperature = 0}), std::invalid_argument);
}

TEST(Policies, LaplaceScoresAreDistances) {
  const auto policy = router({.router = RouterKind::laplace, .router_temperature = 0.5});
  set(*policy, "gate.centres", at::zeros({4, 4}, at::kDouble).index_fill(0, torch::tensor({0}, at::kLong), 1));
  const torch::Tensor x = table({{1, 1, 1, 1}, {0, 0, 0, 3}});
  const double near = -std::sqrt(3 + 4.0) / 0.5, far = -3 / 0.5;
  EXPECT_LT(distance(routed(*policy, x, true).scores, table({{0, -4, -4, -4}, {near, far, far, far}})), 4e-6);
}

TEST(Policies, StableLearnsDistilsAndFreezes) {
  const auto made = router({.router = RouterKind::stable, .stage_one = 0.5}, 10);
  auto& policy = dynamic_cast<StableRouter&>(*made);
  set(policy, "centroids", identity());
  const torch::Tensor ids = torch::tensor({3, 5, 7}, at::kLong);
  const Routing first = routed(policy, scores(), true, 4, ids);
  EXPECT_FALSE(policy.frozen());
  EXPECT_LT(distance(weight_table(first, 3, kN),
                     table({{logistic(2), 0, 0, 0}, {logistic(3), 0, 0, 0}, {0, 0, logistic(4), 0}})),
            1e-12);
  // Loads 2, 0, 1, 0 against 3/4 each.
  const double balance = ((2 / .75 - 1) * (logistic(2) + logistic(3)) + (1 / .75 - 1) * logistic(4)) / 3;
  const auto parameters = policy.named_parameters();
  const torch::Tensor light =
      at::mm(parameters["embedding"].index_select(0, ids), parameters["light_centroids"].t()).log_softmax(1);
  const double distilled = -(light[0][0] + light[1][0] + light[2][2]).item<double>() / 3;
  EXPECT_NEAR(first.auxiliary_loss.item<double>(), 0.3 * balance + 0.3 * distilled, 1e-12);
  // From stage 2 on the choice depends on the id alone, whatever the parameters become.
  const Routing second = routed(policy, scores(), true, 5, ids);
  EXPECT_TRUE(policy.frozen());
  EXPECT_FALSE(second.auxiliary_loss.defined());
  set(policy, "embedding", at::randn({kVocabulary, 50}, at::kDouble));
  set(policy, "light_centroids", at::randn({4, 50}, at::kDouble));
  for (const bool training : {true, false})
    EXPECT_TRUE(routed(policy, -scores(), training, 9, ids).assignments.experts.equal(second.assignments.experts));
  EXPECT_TRUE(second.assignments.experts.equal(light.argmax(1)));
  EXPECT_THROW(routed(policy, scores(), true, 5), std::invalid_argument);
  EXPECT_THROW(routed(policy, scores(), true, 5, ids + 9), std::invalid_argument);
}

TEST(Policies, DropoutGrowsFromFirstToAll) {
  const auto made = router({.router = RouterKind::dropout, .top_k = 2}, 90);
  auto& policy = dynamic_cast<GrowingRouter&>(*made);
  EXPECT_TRUE(policy.parameters().empty());
  for (const auto& [step, k] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 2}, {29, 2}, {30, 3}, {60, 4}, {89, 4}, {200, 4}})
    EXPECT_EQ(policy.experts_at(step), k) << step;
  EXPECT_EQ(routed(policy, scores(), false).assignments.count(), 6);
  EXPECT_EQ(routed(policy, scores(), true, 30).assignments.count(), 9);
  EXPECT_EQ(routed(policy, scores(), false).assignments.count(), 9);  // what training reached
  const auto fixed = router({.router = RouterKind::dropout, .top_k = 1, .first_top_k = 2}, 90);
  EXPECT_EQ(routed(*fixed, scores(), true).assignments.count(), 6);
  EXPECT_EQ(routed(*fixed, scores(), false).assignments.count(), 3);
}

TEST(Policies, HashIsBalancedDistinctAndBlindToInputs) {
  const auto policy = router({.router = RouterKind::hash, .top_k = 3});
  const torch::Tensor ids = at::arange(kVocabulary);
  const Routing out = routed(*policy, at::randn({kVocabulary, 4}, at::kDouble), true, 0, ids);
  const torch::Tensor weights = weight_table(out, kVocabulary, kN);
  EXPECT_LT(distance(weights.sum(1), at::ones({kVocabulary}, at::kDouble)), 1e-12);
  EXPECT_LT(weights.max().item<double>(), 1.0 / 3 + 1e-12);  // no expert twice
  EXPECT_TRUE(assignment_counts(out.assignments, kN).eq(9).all().item<bool>());
  const Routing again = routed(*policy, at::randn({kVocabulary, 4}, at::kDouble), false, 0, ids);
  EXPECT_TRUE(again.assignments.experts.equal(out.assignments.experts));
  EXPECT_THROW(make_router({.router = RouterKind::hash}, {.experts = 4, .inputs = 4}, 0, 1, 0, 0),
               std::invalid_argument);
}

TEST(Policies, BaseAssignsWithTheLargestSumUnderEqualLoads) {
  torch::manual_seed(4);
  for (int trial = 0; trial < 20; ++trial) {
    const torch::Tensor a = at::randn({6, 3}, at::kDouble) + 2 * at::eye(3, at::kDouble).select(0, trial % 3);
    const torch::Tensor got = balanced_assignment(a, 1e-6);
    EXPECT_TRUE(at::bincount(got, {}, 3).eq(2).all().item<bool>());
    std::vector<std::int64_t> experts{0, 0, 1, 1, 2, 2};
    double best = -1e9;
    do {
      double sum = 0;
      for (int t = 0; t < 6; ++t) sum += a[t][experts[static_cast<std::size_t>(t)]].item<double>();
      best = std::max(best, sum);
    } while (std::next_permutation(experts.begin(), experts.end()));
    EXPECT_NEAR(a.gather(1, got.unsqueeze(1)).sum().item<double>(), best, 6e-6);
  }
  // Seven tokens on three experts: at most three each.
  EXPECT_LE(at::bincount(balanced_assignment(at::ones({7, 3}), 1e-3), {}, 3).max().item<int>(), 3);
  const auto policy = router({.router = RouterKind::base});
  set(*policy, "centroids", identity());
  const torch::Tensor x = table({{3, 0, 0, 0}, {2, 1, 0, 0}, {2, 0, 1.5, 0}, {1, 0, 0, .9}});
  EXPECT_TRUE(routed(*policy, x, true).assignments.experts.equal(torch::tensor({0, 1, 2, 3}, at::kLong)));
  const Routing greedy = routed(*policy, x, false);
  EXPECT_TRUE(greedy.assignments.experts.equal(at::zeros({4}, at::kLong)));
  EXPECT_NEAR(greedy.assignments.weights[0].item<double>(), logistic(3), 1e-12);
}

TEST(Policies, ExpertsChooseTheirTokens) {
  const auto policy = router({.router = RouterKind::expert_choice, .top_k = 1});
  EXPECT_FALSE(policy->causal());
  const Routing out = routed(*policy, scores(), true);  // ceil(3 / 4) = 1 token each
  const torch::Tensor p = scores().softmax(1);
  const torch::Tensor best = std::get<1>(p.max(0));
  EXPECT_TRUE(out.assignments.tokens.equal(best));
  EXPECT_TRUE(out.assignments.experts.equal(at::arange(4)));
  EXPECT_LT(distance(out.assignments.weights, std::get<0>(p.max(0))), 1e-12);
}

TEST(Policies, SigmoidIsCoresGate) {
  const auto policy = router({.router = RouterKind::sigmoid});
  const Routing out = routed(*policy, scores(), true);
  DoubleArray x(3, 4);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) x(i, j) = scores()[i][j].item<double>();
  SigmoidParameters<DoubleArray> parameters{DoubleArray::Zero(4, 4), DoubleArray::Zero(1, 4)};
  parameters.slopes.matrix().diagonal().setOnes();
  const DoubleArray expected = top_k_log_weights(SigmoidGate().scores(x, parameters), 2).exp();
  const torch::Tensor weights = weight_table(out, 3, kN);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) EXPECT_NEAR(weights[i][j].item<double>(), expected(i, j), 1e-12);
  EXPECT_NEAR(out.auxiliary_loss.item<double>(), 0.01 * entropy_balance_loss(scores()).item<double>(), 1e-12);
}

TEST(Policies, BiasSelectsButDoesNotWeigh) {
  const auto made = router({.router = RouterKind::bias});
  auto& policy = dynamic_cast<SigmoidRouter&>(*made);
  const torch::Tensor before = weight_table(routed(policy, scores(), true), 3, kN);
  EXPECT_NEAR(before[0][0].item<double>(), logistic(2) / (logistic(2) + logistic(1)), 1e-12);
  policy.after_step(torch::tensor({0.5, 0.25, 0.15, 0.1}), 0);
  EXPECT_LT(distance(policy.selection_bias, torch::tensor({-1e-3, 0.0, 1e-3, 1e-3}, at::kDouble)), 1e-9);
  set(policy, "selection_bias", torch::tensor({0.0, 0.0, 0.0, 10.0}, at::kDouble));
  const torch::Tensor after = weight_table(routed(policy, scores(), true), 3, kN);
  EXPECT_NEAR(after[0][3].item<double>(), logistic(-1) / (logistic(-1) + logistic(2)), 1e-12);
  EXPECT_EQ(after[0][1].item<double>(), 0);
}

TEST(Policies, ReluIsActiveWherePositiveAndAdaptsItsPenalty) {
  const auto made = router({.router = RouterKind::relu});
  auto& policy = dynamic_cast<ReluRouter&>(*made);
  set(policy, "lambda", torch::tensor({0.1}, at::kDouble));
  const Routing out = routed(policy, scores(), true);
  EXPECT_LT(distance(weight_table(out, 3, kN), scores().relu()), 1e-12);
  EXPECT_EQ(out.assignments.count(), 8);
  // n = 2, 2, 2, 2 of 3 tokens; f = N n / (K T).
  const torch::Tensor n = torch::tensor({2.0, 2.0, 2.0, 2.0}, at::kDouble);
  EXPECT_NEAR(out.auxiliary_loss.item<double>(), (0.1 * (4 * n / 6) * scores().relu().mean(0)).sum().item<double>(),
              1e-12);
  policy.after_step({}, 0);  // a third of the pairs is inactive, half is wanted
  EXPECT_NEAR(policy.lambda.item<double>(), 0.12, 1e-12);
  routed(policy, scores() - 1.2, true);  // 7 of 12 inactive
  policy.after_step({}, 1);
  EXPECT_NEAR(policy.lambda.item<double>(), 0.1, 1e-12);
  EXPECT_EQ(routed(policy, -scores().abs() - 1, true).assignments.count(), 0);
}

TEST(Policies, RowsOfProbabilitiesSumToOne) {
  const torch::Tensor ids = torch::tensor({3, 5, 7}, at::kLong);
  for (const auto& entry : enum_names(RouterKind{})) {
    const auto policy = router({.router = entry.value, .competition = CompetitionUse::always}, 10);
    for (const bool training : {true, false}) {
      const Routing out = routed(*policy, scores(), training, 0, ids);
      EXPECT_LT(distance(out.probabilities.sum(1), at::ones({3}, at::kDouble)), 1e-9) << entry.name;
      EXPECT_EQ(out.soft.has_value(), entry.value == RouterKind::soft);
    }
    EXPECT_EQ(policy->causal(), entry.value != RouterKind::soft && entry.value != RouterKind::expert_choice);
  }
}

}  // namespace
}  // namespace clearway::deep
