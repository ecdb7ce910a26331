// The fused attention behind causal_attention() and causal_self_attention() of floats, against the definition in double with
// torch's own derivatives.
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "clearway/deep/attention.hpp"

namespace clearway::deep {
namespace {

// Sums of at most 200 products of unit normal numbers in float: units of 6e-8, which in practice grow by the root of 200.
constexpr double kBound = 1e-5;

double largest(const torch::Tensor& a) {
  return a.numel() > 0 ? a.abs().max().item<double>() : 0;
}

/// Largest difference relative to the largest number, or to 1.
double error(const torch::Tensor& found, const torch::Tensor& truth) {
  EXPECT_EQ(found.sizes(), truth.sizes());
  return largest(found.to(at::kDouble) - truth) / std::max(1.0, largest(truth));
}

torch::Tensor leaf(const torch::Tensor& values, at::ScalarType type) {
  return values.detach().to(type).clone().set_requires_grad(true);
}

TEST(FusedAttention, EqualsTheDefinitionInDouble) {
  torch::manual_seed(11);
  struct Case {
    std::int64_t batch, heads, queries, keys, width;
  };
  for (const Case c : {Case{1, 1, 1, 1, 1}, Case{2, 3, 5, 5, 7}, Case{1, 2, 150, 200, 33}, Case{2, 2, 1, 77, 16},
                       Case{3, 1, 64, 64, 32}}) {
    std::vector<torch::Tensor> ours, exact;
    for (const std::int64_t rows : {c.queries, c.keys, c.keys}) {
      const torch::Tensor values = at::randn({c.batch, c.heads, rows, c.width});
      ours.push_back(leaf(values, at::kFloat));
      exact.push_back(leaf(values, at::kDouble));
    }
    const torch::Tensor found = causal_attention(ours[0], ours[1], ours[2]);
    const torch::Tensor truth = causal_attention_dense(exact[0], exact[1], exact[2]);
    EXPECT_LT(error(found.detach(), truth.detach()), kBound) << c.width;
    const torch::Tensor direction = at::randn(found.sizes());
    const auto a = torch::autograd::grad({found}, ours, {direction});
    const auto b = torch::autograd::grad({truth}, exact, {direction.to(at::kDouble)});
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_LT(error(a[i], b[i]), kBound) << c.width << " " << i;
  }
}

TEST(FusedAttention, OfOneTableEqualsTheDefinitionInDouble) {
  torch::manual_seed(12);
  for (const bool rotary : {false, true})
    for (const std::int64_t width : {2, 12, 32, 44}) {
      const std::int64_t batch = 2, heads = 3, count = 70;
      const torch::Tensor values = at::randn({batch, count, 3 * heads * width});
      const torch::Tensor ours = leaf(values, at::kFloat), exact = leaf(values, at::kDouble);
      const torch::Tensor found = causal_self_attention(ours, heads, rotary);
      const auto parts = exact.reshape({batch, count, 3, heads, width}).permute({2, 0, 3, 1, 4});
      torch::Tensor q = parts[0], k = parts[1];
      if (rotary) q = rotate_positions(q, 0), k = rotate_positions(k, 0);
      const torch::Tensor truth =
          causal_attention_dense(q, k, parts[2]).transpose(1, 2).reshape({batch, count, heads * width});
      EXPECT_LT(error(found.detach(), truth.detach()), kBound) << width;
      EXPECT_LT(largest(causal_self_attention(exact, heads, rotary).detach() - truth.detach()), 1e-12) << width;
      const torch::Tensor direction = at::randn(found.sizes());
      const auto a = torch::autograd::grad({found}, {ours}, {direction});
      const auto b = torch::autograd::grad({truth}, {exact}, {direction.to(at::kDouble)});
      EXPECT_LT(error(a[0], b[0]), kBound) << width;
    }
}

// Views of every kind, and a gradient of one number for all: the same bits as from plain tables.
TEST(FusedAttention, ReadsViews) {
  torch::manual_seed(13);
  const torch::Tensor table = at::randn({2, 9, 3 * 24});
  const torch::Tensor wide = at::randn({2, 9, 100});
  wide.narrow(2, 5, 72).copy_(table);
  const torch::Tensor turned =
      table.transpose(0, 2).contiguous().transpose(0, 2);  // no neighbours along the last dimension
  const auto answers = [](const torch::Tensor& values) {
    const torch::Tensor x = values.detach().requires_grad_(true), y = causal_self_attention(x, 4, true);
    return std::pair{y.detach(), torch::autograd::grad({y.sum()}, {x})[0]};
  };
  const auto [plain, gradient] = answers(table);
  for (const torch::Tensor& view : {wide.narrow(2, 5, 72), turned}) {
    const auto [y, dx] = answers(view);
    EXPECT_TRUE(y.equal(plain));
    EXPECT_TRUE(dx.equal(gradient));
  }
  const torch::NoGradGuard off;
  EXPECT_TRUE(causal_self_attention(table, 4, true).equal(plain));
}

TEST(FusedAttention, RefusesWhatItCannotDo) {
  const torch::Tensor table = at::randn({1, 3, 12}).set_requires_grad(true);
  EXPECT_THROW(causal_self_attention(table, 3, false), std::invalid_argument);                   // 12 / 9
  EXPECT_THROW(causal_self_attention(table, 4, true), std::invalid_argument);                    // one number per head
  EXPECT_THROW(causal_self_attention(table.reshape({3, 12}), 2, false), std::invalid_argument);  // no batch
  EXPECT_THROW(causal_self_attention(table.to(at::kDouble), 4, true), std::invalid_argument);
  const torch::Tensor y = causal_self_attention(table, 2, true);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {table}, {}, true, true), std::invalid_argument);  // second derivatives
}

}  // namespace
}  // namespace clearway::deep
