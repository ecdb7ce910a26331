// Sparse dispatch against the dense reference.
#include "clearway/deep/expert_bank.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace clearway::deep
