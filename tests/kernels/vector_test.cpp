// The activation functions of every instruction set against the C library in double, through an expert that hands its
// input on: one input, one hidden unit, both weights 1.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/feed_forward.hpp"
#include "kernels/instruction_sets.hpp"

namespace clearway::kernels {
namespace {

/// Values and derivatives at the points x.
std::pair<std::vector<float>, std::vector<float>> activation(const KernelTable& table, Activation which,
                                                             const std::vector<float>& x) {
  const std::vector<std::int64_t> zeros(x.size(), 0);
  std::vector<std::int64_t> token(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) token[i] = static_cast<std::int64_t>(i);
  const Groups groups = group_by(zeros, 1, "experts");
  const float one = 1;
  FeedForwardCall call;
  call.shape = {1, 1, 1, which};
  call.weights.w1 = call.weights.w2 = &one;
  call.x = x.data();
  call.tokens = x.size();
  call.token = token.data();
  call.by_expert = &groups;
  call.table = &table;
  std::vector<float> y(x.size()), slope(x.size()), saved(saved_size(call.shape, x.size())), ones(x.size(), 1.0f);
  forward(call, y.data(), saved.data());
  FeedForwardBackward wanted;
  wanted.saved = saved.data();
  wanted.y_gradient = ones.data();
  wanted.x_gradient = slope.data();
  backward(call, wanted);
  return {y, slope};
}

TEST(Activations, EqualTheCLibrary) {
  std::vector<float> x;
  for (int i = -4000; i <= 4000; ++i) x.push_back(static_cast<float>(i) / 200);
  for (const float far : {0.0f, 1e-30f, -1e-30f, 30.0f, -30.0f, 100.0f, -100.0f, 1e4f, -1e4f}) x.push_back(far);
  for (const KernelTable* table : available_kernels()) {
    const auto [gelu, gelu_slope] = activation(*table, Activation::gelu, x);
    const auto [silu, silu_slope] = activation(*table, Activation::silu, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double a = x[i], phi = 0.5 * std::erfc(-a * std::sqrt(0.5)), s = 1 / (1 + std::exp(-a));
      // A few units in the last place of the larger of 1 and the value.
      const double bound = 5e-7 * std::max(1.0, std::abs(a));
      EXPECT_NEAR(gelu[i], a * phi, bound) << table->name << " at " << a;
      EXPECT_NEAR(silu[i], a * s, bound) << table->name << " at " << a;
      EXPECT_NEAR(gelu_slope[i], phi + a * std::exp(-a * a / 2) / std::sqrt(8 * std::atan(1)), 1e-6) << a;
      EXPECT_NEAR(silu_slope[i], s * (1 + a * (1 - s)), 1e-6) << table->name << " at " << a;
    }
  }
}

}  // namespace
}  // namespace clearway::kernels
