// Linear maps and norms, alone or one per modality side by side: M of them in one batched product.
#pragma once

#include <torch/nn/module.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace clearway::deep {

inline constexpr double kFusionNormEpsilon = 1e-5;

/// Even on +-shrink / sqrt(fan_in).
inline torch::Tensor even_weights(at::IntArrayRef shape, std::int64_t fan_in, double shrink = 1) {
  const double bound = shrink / std::sqrt(static_cast<double>(fan_in));
  return at::empty(shape, at::kFloat).uniform_(-bound, bound);
}

/// y = x W' + b for any leading axes. Weight: out x in.
struct Affine {
  Affine() = default;
  Affine(torch::nn::Module& owner, const std::string& name, std::int64_t inputs, std::int64_t outputs,
         bool with_bias = true)
      : weight(owner.register_parameter(name + "_weight", even_weights({outputs, inputs}, inputs))) {
    if (with_bias) bias = owner.register_parameter(name + "_bias", at::zeros({outputs}));
  }
  torch::Tensor operator()(const torch::Tensor& x) const { return at::linear(x, weight, bias); }
  torch::Tensor weight, bias;
};

/// y_m = x_m W_m + b_m, x: M x rows x in. Weight: M x in x out.
struct StackedAffine {
  StackedAffine() = default;
  StackedAffine(torch::nn::Module& owner, const std::string& name, std::int64_t count, std::int64_t inputs,
                std::int64_t outputs, bool with_bias = true, double shrink = 1)
      : weight(owner.register_parameter(name + "_weight", even_weights({count, inputs, outputs}, inputs, shrink))) {
    if (with_bias) bias = owner.register_parameter(name + "_bias", at::zeros({count, 1, outputs}));
  }
  torch::Tensor operator()(const torch::Tensor& x) const {
    return bias.defined() ? at::baddbmm(bias, x, weight) : at::bmm(x, weight);
  }
  torch::Tensor weight, bias;
};

/// Layer norm with scale and shift per modality, x: M x B x T x D.
struct StackedNorm {
  StackedNorm() = default;
  StackedNorm(torch::nn::Module& owner, const std::string& name, std::int64_t count, std::int64_t width)
      : weight(owner.register_parameter(name + "_weight", at::ones({count, 1, 1, width}))),
        bias(owner.register_parameter(name + "_bias", at::zeros({count, 1, 1, width}))) {}
  torch::Tensor operator()(const torch::Tensor& x) const {
    return at::addcmul(bias, at::layer_norm(x, {x.size(-1)}, {}, {}, kFusionNormEpsilon), weight);
  }
  torch::Tensor weight, bias;
};

/// Dropout with one draw for all bins of a sample, x: M x B x T x D (Gal and Ghahramani 2016); drawing would else take more
/// time than the products.
inline torch::Tensor drop_shared(const torch::Tensor& x, double chance, bool training) {
  if (!training || chance <= 0) return x;
  const torch::Tensor kept =
      at::empty({x.size(0), x.size(1), 1, x.size(3)}, x.options().requires_grad(false)).bernoulli_(1 - chance);
  return x * kept.div_(1 - chance);
}

}  // namespace clearway::deep
