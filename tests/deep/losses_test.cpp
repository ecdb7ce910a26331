// Auxiliary losses: closed forms and gradients.
#include "clearway/deep/losses.hpp"

#include "routing_cases.hpp"

namespace clearway::deep {
namespace {

double value(const torch::Tensor& t) {
  return t.item<double>();
}

TEST(Losses, LoadBalanceIsOneWhenUniformAndNWhenCollapsed) {
  const torch::Tensor uniform = at::full({7, 5}, 0.2, at::kDouble), fair = at::full({5}, 0.2, at::kDouble);
  EXPECT_NEAR(value(load_balance_loss(uniform, fair)), 1, 1e-12);
  const torch::Tensor one = at::zeros({7, 5}, at::kDouble).index_fill(1, at::zeros({1}, at::kLong), 1);
  EXPECT_NEAR(value(load_balance_loss(one, one.mean(0))), 5, 1e-12);
}

TEST(Losses, SquaredVariation) {
  // mean 2, variance with divisor N (1 + 0 + 1 + 0) / 4
  EXPECT_NEAR(value(squared_variation(torch::tensor({1.0, 2.0, 3.0, 2.0}, at::kDouble))), 0.5 / 4, 1e-10);
  EXPECT_EQ(value(squared_variation(at::zeros({3}, at::kDouble))), 0);
}

TEST(Losses, ZLossAndEntropy) {
  const torch::Tensor scores = table({{0, 0, 0, 0}, {50, 0, 0, 0}});
  EXPECT_NEAR(value(z_loss(scores)), (std::log(4.0) * std::log(4.0) + 2500) / 2, 1e-10);
  EXPECT_NEAR(value(entropy_loss(scores)), std::log(4.0) / 2, 1e-10);
}

TEST(Losses, EntropyBalanceTakesScoresAndRefusesProbabilities) {
  EXPECT_NEAR(value(entropy_balance_loss(at::zeros({6, 8}, at::kDouble))), -std::log(8.0), 1e-12);
  const torch::Tensor collapsed = at::zeros({6, 8}, at::kDouble).index_fill(1, at::zeros({1}, at::kLong), 50);
  EXPECT_NEAR(value(entropy_balance_loss(collapsed)), 0, 1e-12);
  // Balanced over tokens although every token is certain.
  EXPECT_NEAR(value(entropy_balance_loss(100 * at::eye(8, at::kDouble))), -std::log(8.0), 1e-12);
  EXPECT_THROW(entropy_balance_loss(collapsed.softmax(1)), std::invalid_argument);
}

TEST(Losses, DiversityOfPairs) {
  const torch::Tensor a = table({{3, 4, 0}}), b = table({{-4, 3, 0}});
  const auto of = [](std::vector<torch::Tensor> winners, bool published = false) {
    return value(diversity_loss(at::stack(winners, 1), published));
  };
  EXPECT_NEAR(of({a, 2 * a}), 1, 1e-12);
  EXPECT_NEAR(of({a, b}), 0, 1e-12);
  EXPECT_NEAR(of({a, -a}), -1, 1e-12);
  EXPECT_NEAR(of({a, 2 * a}, true), 0.5, 1e-12);
  EXPECT_NEAR(of({a, a, b}), 1.0 / 3, 1e-12);  // one of three pairs
  EXPECT_EQ(of({a}), 0);
  // No answer has no direction: similarity 0, derivative 0 and not the inverse of a rounding.
  const torch::Tensor silent = at::zeros({2, 2, 3}, at::kDouble).requires_grad_();
  EXPECT_EQ(value(diversity_loss(silent)), 0);
  EXPECT_EQ(value(torch::autograd::grad({diversity_loss(silent)}, {silent})[0].abs().max()), 0);
}

TEST(Losses, Distillation) {
  const torch::Tensor target = table({{0.5, 0.5, 0, 0}});
  const torch::Tensor flat = at::zeros({1, 4}, at::kDouble);
  EXPECT_NEAR(value(kl_distillation(flat, target)), std::log(2.0), 1e-12);
  EXPECT_NEAR(value(kl_distillation(target.log().clamp_min(-60), target)), 0, 1e-12);
  EXPECT_NEAR(value(mse_distillation(flat, target)), 1.0 / 16, 1e-12);
  EXPECT_NEAR(value(winner_distillation(flat, table({{0.7, 0.3, 0, 0}}), torch::tensor({{0, 1}}, at::kLong))),
              (0.45 * 0.45 + 0.05 * 0.05) / 2, 1e-12);
}

TEST(Losses, GradientsEqualDifferences) {
  torch::manual_seed(3);
  const torch::Tensor scores = at::randn({7, 4}, at::kDouble).requires_grad_();
  const torch::Tensor winners = at::randn({7, 3, 5}, at::kDouble).requires_grad_();
  const torch::Tensor target = at::randn({7, 4}, at::kDouble).softmax(1);
  const torch::Tensor load = at::rand({4}, at::kDouble);
  const torch::Tensor index = torch::tensor({{0, 2}}, at::kLong).expand({7, 2});
  const std::vector<std::function<torch::Tensor()>> losses{[&] { return load_balance_loss(scores.softmax(1), load); },
                                                           [&] { return squared_variation(scores.exp().sum(0)); },
                                                           [&] { return z_loss(scores); },
                                                           [&] { return entropy_loss(scores); },
                                                           [&] { return entropy_balance_loss(scores); },
                                                           [&] { return diversity_loss(winners); },
                                                           [&] { return kl_distillation(scores, target); },
                                                           [&] { return mse_distillation(scores, target); },
                                                           [&] { return winner_distillation(scores, target, index); }};
  for (std::size_t i = 0; i < losses.size(); ++i) EXPECT_LT(derivative_error(losses[i], {scores, winners}), 1e-7) << i;
  // The target is detached.
  const torch::Tensor learned = at::randn({7, 4}, at::kDouble).requires_grad_();
  for (const auto& loss : {kl_distillation(scores, learned.softmax(1)), mse_distillation(scores, learned.softmax(1))})
    EXPECT_FALSE(torch::autograd::grad({loss}, {learned}, {}, false, false, true)[0].defined());
}

}  // namespace
}  // namespace clearway::deep
