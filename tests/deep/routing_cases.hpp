// What the tests of routers share: small layers in double, parameters set by name, numerical derivatives.
#pragma once

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "clearway/deep/router.hpp"

namespace clearway::deep {

inline constexpr std::int64_t kVocabulary = 12;

/// A router of d inputs and n experts in double.
inline std::shared_ptr<Router> small_router(const RouterOptions& options, std::int64_t d, std::int64_t n,
                                            std::int64_t steps = 0, int layers = 1) {
  auto router = make_router(options, {.experts = n, .inputs = d}, 0, layers, kVocabulary, steps);
  router->to(at::kDouble);
  return router;
}
/// A bank of n experts of width d in double.
inline ExpertBank small_bank(std::int64_t d, std::int64_t n, std::int64_t hidden = 5) {
  ExpertBank bank({.experts = n, .inputs = d, .hidden = hidden});
  bank.to(at::kDouble);
  return bank;
}

/// Sets a parameter or buffer.
inline void set(torch::nn::Module& module, const std::string& name, const torch::Tensor& value) {
  const at::NoGradGuard no_grad;
  for (auto& item : module.named_parameters())
    if (item.key() == name) return static_cast<void>(item.value().copy_(value));
  for (auto& item : module.named_buffers())
    if (item.key() == name) return static_cast<void>(item.value().copy_(value));
  FAIL() << "no parameter or buffer " << name;
}

inline torch::Tensor table(std::initializer_list<std::vector<double>> rows) {
  std::vector<torch::Tensor> out;
  for (const auto& row : rows) out.push_back(torch::tensor(row, at::kDouble));
  return at::stack(out);
}

inline double distance(const torch::Tensor& a, const torch::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return a.numel() == 0 ? 0 : (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs().max().item<double>();
}

/// Weights as a T x N table; 0 where nothing is assigned.
inline torch::Tensor weight_table(const Routing& routing, std::int64_t tokens, std::int64_t experts) {
  const Assignments& a = routing.assignments;
  return at::zeros({tokens * experts}, at::kDouble)
      .index_add(0, a.tokens * experts + a.experts, a.weights.detach().to(at::kDouble))
      .reshape({tokens, experts});
}

/// Largest difference between the derivative of a scalar by autograd and by five-point differences, along one random
/// direction per leaf, relative to 1e-3 or the derivative. Truncation is h^4 f^(5) / 30 and rounding 1.5 eps |f| / h:
/// with h = 1e-4 and values of order 1 both are far below 1e-9. A leaf that the scalar does not use has derivative 0.
inline double derivative_error(const std::function<torch::Tensor()>& scalar, const std::vector<torch::Tensor>& leaves) {
  const auto gradients = torch::autograd::grad({scalar()}, leaves, {}, false, false, true);
  const at::NoGradGuard no_grad;
  double worst = 0;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    torch::Tensor leaf = leaves[i];
    const torch::Tensor start = leaf.clone();
    torch::manual_seed(1000 + i);
    torch::Tensor direction = at::randn_like(leaf);
    direction /= direction.norm();
    const auto along = [&](double t) {
      leaf.copy_(start + t * direction);
      const double value = scalar().item<double>();
      leaf.copy_(start);
      return value;
    };
    const double h = 1e-4;
    const double numeric = (along(-2 * h) - 8 * along(-h) + 8 * along(h) - along(2 * h)) / (12 * h);
    const double exact = gradients[i].defined() ? (gradients[i] * direction).sum().item<double>() : 0;
    worst = std::max(worst, std::abs(exact - numeric) / std::max(1e-3, std::abs(numeric)));
  }
  return worst;
}

}  // namespace clearway::deep
