// AdamW against torch's own and against its recurrence in double; the norm of gradients against its definition.
#include "clearway/train/adamw.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <cmath>

namespace clearway::train {
namespace {

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

/// Gradients of step t, the same for whoever asks.
torch::Tensor gradient(const torch::Tensor& like, int t) {
  torch::manual_seed(100 + static_cast<std::uint64_t>(t));
  return at::randn(like.sizes(), like.options().requires_grad(false)) * std::exp(0.05 * t);
}

TEST(AdamW, EqualsTorchForFiftySteps) {
  for (const auto type : {at::kFloat, at::kDouble})
    for (const double decay : {0.0, 0.1}) {
      torch::manual_seed(1);
      // Shapes that are no multiple of any vector; one tensor that never gets a gradient.
      std::vector<torch::Tensor> ours, theirs;
      for (const auto& start : {at::randn({7, 13}, type), at::randn({101}, type), at::randn({3}, type)}) {
        ours.push_back(start.clone().requires_grad_());
        theirs.push_back(start.clone().requires_grad_());
      }
      AdamW optimiser({{"a", ours[0]}, {"b", ours[1]}, {"c", ours[2]}}, {.weight_decay = decay});
      torch::optim::AdamW reference(theirs, torch::optim::AdamWOptions(1e-2).weight_decay(decay));
      for (int t = 0; t < 50; ++t) {
        for (std::size_t i = 0; i < 2; ++i) {
          ours[i].mutable_grad() = gradient(ours[i], t);
          theirs[i].mutable_grad() = gradient(ours[i], t);
        }
        const double rate = 1e-2 / (1 + t);
        static_cast<torch::optim::AdamWOptions&>(reference.param_groups()[0].options()).lr(rate);
        optimiser.step(rate);
        reference.step();
      }
      for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(difference(ours[i], theirs[i]), 1e-6) << type << " " << i;
      EXPECT_EQ(optimiser.state()[2].tensor.item<std::int64_t>(), 50);
      EXPECT_EQ(optimiser.state()[8].tensor.item<std::int64_t>(), 0);
    }
}

TEST(AdamW, FollowsItsRecurrence) {
  torch::Tensor p = at::full({1}, 0.5f).requires_grad_();
  AdamW optimiser({{"p", p}}, {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.3});
  double x = 0.5, m = 0, v = 0;
  for (int t = 1; t <= 50; ++t) {
    const double g = std::sin(t), rate = 0.01;
    p.mutable_grad() = at::full({1}, static_cast<float>(g));
    optimiser.step(rate);
    m = 0.8 * m + 0.2 * g;
    v = 0.95 * v + 0.05 * g * g;
    x = x * (1 - rate * 0.3) - rate * (m / (1 - std::pow(0.8, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-6);
    EXPECT_NEAR(p.item<double>(), x, 1e-6) << t;
  }
}

TEST(AdamW, GoesOnFromItsState) {
  torch::manual_seed(2);
  const torch::Tensor start = at::randn({33});
  const auto run = [&](bool interrupted) {
    torch::Tensor p = start.clone().requires_grad_();
    auto optimiser = std::make_unique<AdamW>(std::vector<NamedTensor>{{"p", p}}, AdamWOptions{});
    for (int t = 0; t < 10; ++t) {
      if (interrupted && t == 5) {
        std::vector<NamedTensor> copies;
        for (const NamedTensor& part : optimiser->state()) copies.push_back({part.name, part.tensor.clone()});
        optimiser = std::make_unique<AdamW>(std::vector<NamedTensor>{{"p", p}}, AdamWOptions{});
        optimiser->load_state(copies);
      }
      p.mutable_grad() = gradient(p, t);
      optimiser->step(0.01);
    }
    return p.detach();
  };
  EXPECT_TRUE(at::equal(run(false), run(true)));
}

TEST(AdamW, DoesNotDependOnThreads) {
  const auto run = [](int threads) {
    at::set_num_threads(threads);
    torch::manual_seed(3);
    torch::Tensor p = at::randn({(1 << 21) + 5}).requires_grad_();
    AdamW optimiser({{"p", p}}, {});
    p.mutable_grad() = gradient(p, 1);
    const double norm = clip_gradient_norm({{"p", p}}, 1.0);
    optimiser.step(0.01);
    at::set_num_threads(1);
    return std::pair(p.detach(), norm);
  };
  const auto one = run(1), two = run(2);
  EXPECT_TRUE(at::equal(one.first, two.first));
  EXPECT_EQ(one.second, two.second);
}

TEST(AdamW, RefusesWhatCannotBe) {
  const torch::Tensor p = at::zeros({2}).requires_grad_();
  EXPECT_THROW(AdamW({{"p", p}}, {.beta1 = 1}), std::invalid_argument);
  EXPECT_THROW(AdamW({{"p", p}}, {.epsilon = 0}), std::invalid_argument);
  EXPECT_THROW(AdamW({{"p", p}}, {.weight_decay = -1}), std::invalid_argument);
  EXPECT_THROW(AdamW({{"p", p}, {"p", p}}, {}), std::invalid_argument);
  EXPECT_THROW(AdamW({{"p", {}}}, {}), std::invalid_argument);
  AdamW optimiser({{"p", p}}, {});
  EXPECT_THROW(optimiser.set_weight_decay("q", 0), std::invalid_argument);
  EXPECT_THROW(optimiser.load_state({}), std::invalid_argument);
  EXPECT_THROW(optimiser.load_state(
                   {{"p.exp_avg", at::zeros({3})}, {"p.exp_avg_sq", at::zeros({2})}, {"p.step", at::zeros({})}}),
               std::invalid_argument);
  EXPECT_THROW(clip_gradient_norm({}, 0), std::invalid_argument);
}

TEST(GradientNorm, ClipsAllGradientsTogether) {
  torch::Tensor a = at::zeros({2}).requires_grad_(), b = at::zeros({1}, at::kDouble).requires_grad_(),
                none = at::zeros({4}).requires_grad_();
  a.mutable_grad() = at::tensor({2.0f, 3.0f});
  b.mutable_grad() = at::full({1}, 6.0, at::kDouble);
  const std::vector<NamedTensor> all{{"a", a}, {"b", b}, {"none", none}};
  EXPECT_DOUBLE_EQ(gradient_norm(all), 7);  // 4 + 9 + 36
  EXPECT_DOUBLE_EQ(clip_gradient_norm(all, 8), 7);
  EXPECT_FLOAT_EQ(a.grad()[1].item<float>(), 3);
  EXPECT_DOUBLE_EQ(clip_gradient_norm(all, 3.5), 7);
  EXPECT_FLOAT_EQ(a.grad()[1].item<float>(), 1.5);
  EXPECT_DOUBLE_EQ(b.grad().item<double>(), 3);
  a.mutable_grad() = at::full({2}, std::nanf(""));
  EXPECT_TRUE(std::isnan(clip_gradient_norm(all, 1)));
  EXPECT_DOUBLE_EQ(b.grad().item<double>(), 3);
}

}  // namespace
}  // namespace clearway::train
