// The fused layer norm of floats against torch's in double, with torch's own derivatives.
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "fused_norm.hpp"

namespace clearway::deep {
namespace {

torch::Tensor leaf(const torch::Tensor& values, at::ScalarType type) {
  return values.detach().to(type).clone().set_requires_grad(true);
}

// Sums of at most 300 numbers of size 1 in float, units of 6e-8, which in practice grow by the root of 300.
TEST(FusedNorm, EqualsTorchInDouble) {
  torch::manual_seed(21);
  const std::vector<std::vector<std::int64_t>> shapes = {{1, 1, 9}, {2, 150, 33}, {40, 128}, {8}, {0, 5}};
  for (const auto& shape : shapes) {
    const torch::Tensor values = at::randn(shape), w = at::randn({shape.back()}), b = at::randn({shape.back()});
    const std::vector<torch::Tensor> ours = {leaf(values, at::kFloat), leaf(w, at::kFloat), leaf(b, at::kFloat)};
    const std::vector<torch::Tensor> exact = {leaf(values, at::kDouble), leaf(w, at::kDouble), leaf(b, at::kDouble)};
    const torch::Tensor found = layer_norm(ours[0], ours[1], ours[2], 1e-5);
    const torch::Tensor truth = at::layer_norm(exact[0], {shape.back()}, exact[1], exact[2], 1e-5);
    const torch::Tensor direction = at::randn(shape);
    auto a = torch::autograd::grad({found}, ours, {direction});
    auto c = torch::autograd::grad({truth}, exact, {direction.to(at::kDouble)});
    a.push_back(found.detach());
    c.push_back(truth.detach());
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].sizes(), c[i].sizes());
      EXPECT_TRUE(at::allclose(a[i].to(at::kDouble), c[i], 1e-5, 2e-5)) << values.sizes() << " " << i;
    }
  }
}

TEST(FusedNorm, ReadsViewsAndNeedsNoGradient) {
  torch::manual_seed(22);
  const torch::Tensor x = at::randn({6, 4, 10}), w = at::randn({10}), b = at::randn({10});
  const torch::Tensor plain = layer_norm(x, w, b, 1e-5);
  EXPECT_TRUE(layer_norm(x.transpose(0, 1), w, b, 1e-5).equal(plain.transpose(0, 1)));
  const torch::Tensor tracked = x.clone().set_requires_grad(true);
  EXPECT_TRUE(layer_norm(tracked, w, b, 1e-5).detach().equal(plain));
  // One number for all as gradient, which is no table of numbers; and weights that want none.
  EXPECT_EQ(torch::autograd::grad({layer_norm(tracked, w, b, 1e-5).sum()}, {tracked})[0].sizes(), x.sizes());
}

TEST(FusedNorm, RefusesWhatItCannotDo) {
  const torch::Tensor x = at::randn({3, 4}).set_requires_grad(true), w = at::ones({4}), b = at::zeros({4});
  EXPECT_THROW(layer_norm(x, at::ones({3}), at::zeros({3}), 1e-5), std::invalid_argument);
  EXPECT_THROW(layer_norm(x, w, at::zeros({5}), 1e-5), std::invalid_argument);
  EXPECT_THROW(torch::autograd::grad({layer_norm(x, w, b, 1e-5).sum()}, {x}, {}, true, true), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::deep
