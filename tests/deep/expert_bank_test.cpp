// Sparse dispatch against the dense reference.
#include "clearway/deep/expert_bank.hpp"

#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace clearway::deep {
namespace {

TEST(ExpertBank, SparseEqualsDense) {
  torch::manual_seed(1);
  for (const auto activation :
       {ExpertActivation::relu, ExpertActivation::gelu, ExpertActivation::silu, ExpertActivation::swiglu}) {
    ExpertBank bank({.experts = 5, .inputs = 7, .hidden = 11, .activation = activation});
    const torch::Tensor x = at::randn({23, 7});
    const torch::Tensor experts = at::randint(-1, 5, {23, 2}, at::kLong);
    const torch::Tensor weights = at::rand({23, 2});
    const torch::Tensor sparse = bank.mix(x, assignments_from_slots(experts, weights));
    const torch::Tensor all = bank.respond_all(x);
    torch::Tensor dense = at::zeros_like(x);
    for (std::int64_t t = 0; t < 23; ++t)
      for (std::int64_t k = 0; k < 2; ++k) {
        const auto i = experts[t][k].item<std::int64_t>();
        if (i >= 0) dense[t] += weights[t][k] * all[t][i];
      }
    EXPECT_LT((sparse - dense).abs().max().item<double>(), 1e-5);
  }
}

// Gradients in float (grouped kernels) against those in double (plain torch operations), with an incoming gradient that is contiguous and one that is not: by transposing, and by picking from more. Float rounding of sums of 100 products.
TEST(ExpertBank, FloatGradientsEqualDoubleOnesForGradientsOfAnyLayout) {
  for (const auto activation :
       {ExpertActivation::relu, ExpertActivation::gelu, ExpertActivation::silu, ExpertActivation::swiglu}) {
    torch::manual_seed(2);
    ExpertBank single({.experts = 3, .inputs = 24, .hidden = 40, .activation = activation});
    ExpertBank exact({.experts = 3, .inputs = 24, .hidden = 40, .activation = activation});
    exact.to(at::kDouble);
    {
      const torch::NoGradGuard off;
      for (const auto& item : single.named_parameters()) exact.named_parameters()[item.key()].copy_(item.value());
    }
    const torch::Tensor x = at::randn({17, 24}), transposed = at::randn({24, 3, 17}),
                        every_other = at::randn({17, 3, 48});
    const torch::Tensor whole = at::randn({17, 3, 24});
    for (const torch::Tensor& direction : {whole, transposed.permute({2, 1, 0}), every_other.slice(2, 0, 48, 2)}) {
      const auto gradients = [&](ExpertBank& bank, at::ScalarType type) {
        const torch::Tensor in = x.to(type).set_requires_grad(true);
        std::vector<torch::Tensor> leaves = bank.parameters();
        leaves.push_back(in);
        return torch::autograd::grad({bank.respond_all(in)}, leaves, {direction.to(type)});
      };
      const auto ours = gradients(single, at::kFloat), theirs = gradients(exact, at::kDouble);
      for (std::size_t i = 0; i < ours.size(); ++i)
        EXPECT_LT((ours[i] - theirs[i]).abs().max().item<double>(), 5e-5) << i;
    }
  }
}
}  // namespace
}  // namespace clearway::deep
