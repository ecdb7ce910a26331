// The grouped kernels behind ExpertBank against plain torch operations in double, which take the same module's code for
// other types; and against finite differences.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "clearway/deep/expert_bank.hpp"

namespace clearway::deep {
namespace {

struct Case {
  ExpertOptions options;
  std::int64_t tokens = 9, assignments = 20;
  bool mixed = true;
};

/// Output and gradients of one bank, in double.
struct Answers {
  torch::Tensor output;
  std::vector<torch::Tensor> gradients;  // of x, weights and the parameters, in that order
};

struct Problem {
  torch::Tensor x, tokens, experts, weights, direction;
};

Problem problem(const Case& c) {
  Problem p;
  p.x = at::randn({c.tokens, c.options.inputs});
  p.tokens = at::randint(c.tokens, {c.assignments}, at::kLong);
  // The last of several experts stays empty.
  p.experts = at::randint(std::max<std::int64_t>(1, c.options.experts - 1), {c.assignments}, at::kLong);
  p.weights = at::randn({c.assignments});
  p.direction = at::randn({c.mixed ? c.tokens : c.assignments, c.options.inputs});
  return p;
}

/// Parameters away from their starts: biases that are not 0.
void scatter(ExpertBank& bank) {
  const at::NoGradGuard no_grad;
  for (auto& p : bank.parameters()) p.add_(0.3 * at::randn(p.sizes()));
}

Answers answers(ExpertBank& bank, const Problem& p, at::ScalarType type, bool mixed) {
  bank.to(type);
  bank.zero_grad();
  const torch::Tensor x = p.x.to(type).clone().requires_grad_(), weights = p.weights.to(type).clone().requires_grad_();
  const Assignments assignments{p.tokens, p.experts, weights};
  Answers out;
  const torch::Tensor y = mixed ? bank.mix(x, assignments) : bank.respond(x, assignments);
  y.backward(p.direction.to(type));
  out.output = y.detach().to(at::kDouble);
  const auto take = [&](const torch::Tensor& t) {
    out.gradients.push_back(t.grad().defined() ? t.grad().to(at::kDouble).clone()
                                               : at::zeros_like(t, at::TensorOptions(at::kDouble)).detach());
  };
  take(x);
  take(weights);
  for (auto& parameter : bank.parameters()) take(parameter);
  return out;
}

/// Largest difference, relative to the size of the numbers (at least 1e-2: where all are nearly zero).
double difference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.numel() == 0) return 0;
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-2)).item<double>();
}

/// Fails where float kernels and double operations differ. The bounds are sums of some hundred roundings of 6e-8.
void expect_equal(const Case& c, double bound, double gradient_bound) {
  ExpertBank bank(c.options);
  scatter(bank);
  const Problem p = problem(c);
  const Answers grouped = answers(bank, p, at::kFloat, c.mixed), plain = answers(bank, p, at::kDouble, c.mixed);
  EXPECT_LT(difference(grouped.output, plain.output), bound);
  ASSERT_EQ(grouped.gradients.size(), plain.gradients.size());
  for (std::size_t i = 0; i < plain.gradients.size(); ++i)
    EXPECT_LT(difference(grouped.gradients[i], plain.gradients[i]), gradient_bound) << "gradient " << i;
}

constexpr ExpertActivation kActivations[] = {ExpertActivation::relu, ExpertActivation::gelu, ExpertActivation::silu,
                                             ExpertActivation::swiglu};

TEST(ExpertKernels, EqualPlainTorch) {
  torch::manual_seed(1);
  for (const auto activation : kActivations)
    for (const bool bias : {false, true})
      for (const bool mixed : {false, true}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(activation) << bias << mixed);
        const auto run = [&](ExpertOptions options, std::int64_t tokens, std::int64_t assignments) {
          options.activation = activation;
          options.bias = bias;
          expect_equal({options, tokens, assignments, mixed}, 1e-5, 1e-4);
        };
        run({.experts = 4, .inputs = 7, .hidden = 13}, 9, 20);
        run({.experts = 3, .inputs = 64, .hidden = 96}, 50, 120);
        run({.experts = 2, .inputs = 7, .hidden = 13}, 1, 1);
        run({.experts = 2, .inputs = 7, .hidden = 13}, 5, 0);
        run({.experts = 1, .inputs = 33, .hidden = 600}, 70, 70);
      }
}

TEST(ExpertKernels, AllResponsesEqualPlainTorch) {
  torch::manual_seed(8);
  for (const auto activation : kActivations) {
    ExpertBank bank({.experts = 3, .inputs = 7, .hidden = 13, .activation = activation});
    scatter(bank);
    const torch::Tensor x = at::randn({5, 7}), direction = at::randn({5, 3, 7});
    const auto run = [&](at::ScalarType type) {
      bank.to(type);
      bank.zero_grad();
      const torch::Tensor in = x.to(type).clone().requires_grad_(), y = bank.respond_all(in);
      EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{5, 3, 7}));
      y.backward(direction.to(type));
      return std::array{y.detach().to(at::kDouble), in.grad().to(at::kDouble), bank.w1.grad().to(at::kDouble).clone()};
    };
    const auto grouped = run(at::kFloat), plain = run(at::kDouble);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(difference(grouped[i], plain[i]), 1e-5);
    EXPECT_EQ(bank.evaluations(), 2 * 15);
  }
}

RC_GTEST_PROP(ExpertKernels, EqualPlainTorchForAllShapes, ()) {
  torch::manual_seed(*rc::gen::arbitrary<std::uint64_t>());
  Case c;
  c.options.experts = *rc::gen::inRange(1, 7);
  c.options.inputs = *rc::gen::inRange(1, 50);
  c.options.hidden = *rc::gen::inRange(1, 70);
  // Not relu: a unit at the kink has one gradient in float and another in double.
  c.options.activation = kActivations[*rc::gen::inRange(1, 4)];
  c.options.bias = *rc::gen::arbitrary<bool>();
  c.tokens = *rc::gen::inRange(1, 40);
  c.assignments = *rc::gen::inRange(0, 90);
  c.mixed = *rc::gen::arbitrary<bool>();
  expect_equal(c, 1e-5, 1e-4);
  RC_ASSERT(!testing::Test::HasFailure());
}

TEST(ExpertKernels, GradientsAreFiniteDifferences) {
  torch::manual_seed(2);
  for (const auto activation : {ExpertActivation::gelu, ExpertActivation::swiglu}) {
    ExpertBank bank({.experts = 2, .inputs = 5, .hidden = 6, .activation = activation});
    scatter(bank);
    const Problem p = problem({bank.options(), 4, 6, true});
    torch::Tensor x = p.x.clone().requires_grad_(), weights = p.weights.clone().requires_grad_();
    const auto value = [&] { return (bank.mix(x, {p.tokens, p.experts, weights}) * p.direction).sum(at::kDouble); };
    value().backward();
    std::vector<torch::Tensor> all = bank.parameters();
    all.push_back(x);
    all.push_back(weights);
    const at::NoGradGuard no_grad;
    for (auto& tensor : all) {
      const torch::Tensor along = at::randn(tensor.sizes()), start = tensor.clone();
      const double step = 1e-2;
      tensor.add_(along, step);
      const double above = value().item<double>();
      tensor.copy_(start).sub_(along, step);
      const double below = value().item<double>();
      tensor.copy_(start);
      const double slope = (along * tensor.grad()).sum().item<double>();
      // Truncation of order step^2, rounding of order 1e-7 / step.
      EXPECT_NEAR((above - below) / (2 * step), slope, 5e-3 * std::max(1.0, std::abs(slope)));
    }
  }
}

TEST(ExpertKernels, DoNotDependOnThreads) {
  torch::manual_seed(3);
  ExpertBank bank({.experts = 4, .inputs = 64, .hidden = 640, .activation = ExpertActivation::gelu});
  const Problem p = problem({bank.options(), 200, 400, true});
  const Answers one = answers(bank, p, at::kFloat, true);
  at::set_num_threads(2);
  const Answers two = answers(bank, p, at::kFloat, true);
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(one.output, two.output));
  for (std::size_t i = 0; i < one.gradients.size(); ++i) EXPECT_TRUE(at::equal(one.gradients[i], two.gradients[i]));
}

TEST(ExpertKernels, Bfloat16IsCloseToFloat) {
  torch::manual_seed(4);
  for (const auto activation : kActivations) {
    ExpertOptions options{.experts = 4, .inputs = 96, .hidden = 160, .activation = activation};
    ExpertBank exact(options);
    options.compute = ComputeType::bfloat16;
    ExpertBank rounded(options);
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < exact.parameters().size(); ++i) rounded.parameters()[i].copy_(exact.parameters()[i]);
    const Problem p = problem({options, 100, 200, true});
    const Assignments assignments{p.tokens, p.experts, p.weights};
    const torch::Tensor a = exact.mix(p.x, assignments), b = rounded.mix(p.x, assignments);
    const double error = ((a - b).norm() / a.norm()).item<double>();
    EXPECT_LT(error, 5e-3) << static_cast<int>(activation);
    EXPECT_GT(error, 1e-5) << "nothing was rounded";
  }
}

TEST(ExpertKernels, DropoutKeepsTheMeanAndItsOwnMask) {
  torch::manual_seed(5);
  ExpertBank bank({.experts = 2, .inputs = 8, .hidden = 400, .bias = false, .dropout = 0.25});
  const torch::Tensor x = at::randn({6, 8});
  const Assignments all{at::arange(6), at::tensor({0, 1, 0, 1, 0, 1}, at::kLong), at::ones({6})};
  bank.eval();
  const torch::Tensor mean = bank.mix(x, all).detach();
  bank.train();
  torch::Tensor sum = at::zeros_like(mean);
  for (int i = 0; i < 2000; ++i) sum += bank.mix(x, all).detach();
  // An answer is a sum of terms of either sign, each kept with probability 3/4: one draw errs by about sqrt(1/3) of the
  // answer's scale, the mean of 2000 by 0.013. Six of those.
  EXPECT_LT(((sum / 2000 - mean).abs().max() / mean.abs().max()).item<double>(), 0.08);
  EXPECT_FALSE(at::allclose(bank.mix(x, all), mean));
  // With relu and no bias, the answer is homogeneous in x of degree 1 for one mask: <gradient, x> = value.
  torch::Tensor y = x.clone().requires_grad_();
  const torch::Tensor value = bank.mix(y, all).sum();
  value.backward();
  EXPECT_NEAR((y.grad() * x).sum().item<double>(), value.item<double>(), 1e-3);
}

TEST(ExpertKernels, FrozenParametersGetNoGradient) {
  torch::manual_seed(6);
  ExpertBank bank({.experts = 2, .inputs = 4, .hidden = 5});
  bank.w1.requires_grad_(false);
  const Problem p = problem({bank.options(), 3, 5, true});
  bank.mix(p.x, {p.tokens, p.experts, p.weights}).sum().backward();
  EXPECT_FALSE(bank.w1.grad().defined());
  EXPECT_TRUE(bank.w2.grad().defined());
}

TEST(ExpertKernels, RefuseWhatCannotBe) {
  torch::manual_seed(7);
  ExpertBank bank({.experts = 2, .inputs = 4, .hidden = 5});
  const torch::Tensor x = at::randn({3, 4}).requires_grad_();
  const auto with = [](std::int64_t token, std::int64_t expert) {
    return Assignments{at::full({1}, token, at::kLong), at::full({1}, expert, at::kLong), at::ones({1})};
  };
  EXPECT_THROW(bank.mix(x, with(3, 0)), std::invalid_argument);
  EXPECT_THROW(bank.mix(x, with(0, 2)), std::invalid_argument);
  EXPECT_THROW(bank.mix(x, with(0, -1)), std::invalid_argument);
  EXPECT_THROW(bank.mix(at::randn({3, 5}), with(0, 0)), std::invalid_argument);
  // Second derivatives are asked for by create_graph.
  const torch::Tensor y = bank.mix(x, with(0, 0)).sum();
  EXPECT_THROW(torch::autograd::grad({y}, {x}, {}, true, true), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::deep
