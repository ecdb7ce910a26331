#include <cmath>

#include "clearway/core/gates/gate.hpp"
#include "clearway/core/gates/laplace.hpp"
#include "clearway/deep/fusion_mixture.hpp"
#include "clearway/deep/losses.hpp"
#include "clearway/deep/routers/noisy.hpp"
#include "clearway/deep/tensor_array.hpp"
#include "stacked.hpp"

namespace clearway::deep {
namespace {

void add_to(torch::Tensor& total, const torch::Tensor& loss, double coefficient) {
  const torch::Tensor term = coefficient * loss;
  total = total.defined() ? total + term : term;
}

}  // namespace

torch::Tensor fusion_gate_scores(FusionGate gate, const torch::Tensor& x, const torch::Tensor& centres) {
  const auto intercepts = [&] { return at::zeros({1, centres.size(0)}, x.options().requires_grad(false)); };
  switch (gate) {
    case FusionGate::softmax:
      return at::linear(x, centres);
    case FusionGate::laplace:
      return LaplaceGate{.temperature = 1, .smoothing = 1e-12}.scores(x, {centres, intercepts()});
    case FusionGate::gaussian:
      break;
  }
  return -squared_distances(x, centres);
}

torch::Tensor top_k_weights(const torch::Tensor& scores, std::int64_t count) {
  if (count >= scores.size(1)) return scores.softmax(1);
  return top_k_log_weights(scores, count).exp();
}

torch::Tensor modality_entropy_loss(const torch::Tensor& distributions) {
  const auto entropy = [](const torch::Tensor& p) { return -at::xlogy(p, p).sum(-1); };
  return entropy(distributions).mean() - entropy(distributions.mean(0));
}

ModalityMixture::ModalityMixture(const FusionOptions& options, std::int64_t modalities, std::int64_t bins)
    : options_(options), modalities_(modalities) {
  const bool gated = options.method == FusionMethod::moe;
  const bool joint = options.router == FusionRouter::joint;
  experts_ = gated ? options.experts : 1;
  const std::int64_t hidden = gated ? options.expert_hidden : options.expert_hidden * options.top_k;
  const std::int64_t width = options.dimension * (options.granularity == TokenGranularity::flat ? bins : 1);
  const std::int64_t all = modalities * width, inputs = joint ? all : width;
  const std::int64_t routers = joint ? 1 : modalities;
  const std::int64_t pools = options.router == FusionRouter::disjoint ? modalities : 1;
  w1 = register_parameter("w1", even_weights({pools, inputs, experts_, hidden}, inputs));
  b1 = register_parameter("b1", at::zeros({pools, experts_, hidden}));
  // The answers of all routers are added: they begin as large together as one.
  const double shrink = 1 / std::sqrt(static_cast<double>(routers));
  w2 = register_parameter("w2", even_weights({pools, experts_, hidden, all}, hidden, shrink));
  b2 = register_parameter("b2", at::zeros({pools * experts_, all}));
  if (!gated) return;
  // What routers see are coordinates of variance about 1, so that the scores of the experts begin with a spread of 1.
  const bool projected = options.router_dimension > 0;
  const std::int64_t seen = projected ? options.router_dimension : inputs;
  if (projected)
    projection =
        register_parameter("projection", at::randn({routers, inputs, seen}) / std::sqrt(static_cast<double>(inputs)));
  const double length = std::sqrt(static_cast<double>(seen));
  const double spread = options.temperature * (options.gate == FusionGate::laplace   ? 1.0
                                               : options.gate == FusionGate::softmax ? 1 / length
                                                                                     : 0.5 / length);
  centres = register_parameter("centres", at::randn({routers, experts_, seen}) * spread);
  intercepts = register_parameter("intercepts", at::zeros({routers, 1, experts_}));
  log_temperature = register_parameter("log_temperature", at::full({routers}, std::log(options.temperature)));
}

/// R x rows x inputs -> R x rows x N.
torch::Tensor ModalityMixture::scores(const torch::Tensor& tokens) const {
  const torch::Tensor x = projection.defined() ? at::bmm(tokens, projection) : tokens;
  const auto places = x.unbind(), own = centres.unbind();
  std::vector<torch::Tensor> plain;
  for (std::size_t r = 0; r < places.size(); ++r) plain.push_back(fusion_gate_scores(options_.gate, places[r], own[r]));
  return at::stack(plain) * (-log_temperature).exp().view({-1, 1, 1}) + intercepts;
}

/// inputs: R x B x T x inputs; weights: R x B x P x N -> (B T) x (M D).
torch::Tensor ModalityMixture::mix(const torch::Tensor& inputs, const torch::Tensor& weights) const {
  const auto routers = inputs.size(0), batch = inputs.size(1), bins = inputs.size(2), width = inputs.size(3);
  const auto pools = w1.size(0), hidden = w1.size(3), outputs = w2.size(3), rows = batch * bins;
  const bool pooled = pools == 1;
  const double dropout = options_.dropout;
  const bool training = is_training();
  // Multiply-adds that a dense computation wastes, an activation counted as 40, against the cost of a gather's operations.
  constexpr double kActivation = 40, kGather = 3e6;
  const double wasted = static_cast<double>(routers * rows * std::max<std::int64_t>(0, experts_ - options_.top_k)) *
                        static_cast<double>(hidden) * (static_cast<double>(width) + kActivation);
  const bool gather = dispatch == ExpertDispatch::gathered ||
                      (dispatch == ExpertDispatch::by_size && wasted > kGather * static_cast<double>(pools * experts_));
  // The outputs' intercepts: (B P) x pools N, spread over bins.
  const torch::Tensor asked =
      pooled ? weights.sum(0) : weights.permute({1, 2, 0, 3}).reshape({batch, weights.size(2), pools * experts_});
  const torch::Tensor constant = at::matmul(asked, b2).expand({batch, bins, outputs}).reshape({rows, outputs});
  if (!gather) {
    const torch::Tensor x = inputs.reshape({routers, rows, width});
    const torch::Tensor first = w1.view({pools, width, experts_ * hidden});
    const torch::Tensor bias = b1.view({pools, 1, experts_ * hidden});
    const torch::Tensor before =
        pooled ? at::addmm(bias[0], x.reshape({routers * rows, width}), first[0]) : at::baddbmm(bias, x, first);
    const torch::Tensor active = at::gelu(before).view({routers, batch, bins, experts_ * hidden});
    const torch::Tensor answered =
        drop_shared(active, dropout, training).view({routers, batch, bins, experts_, hidden}) * weights.unsqueeze(4);
    // Linear in the hidden units: sums over modalities come before the product. Unbinding hands gelu a contiguous gradient;
    // given another one, torch 1.13 with oneDNN returns memory that nobody wrote.
    torch::Tensor summed;
    if (pooled) {
      summed = answered.sum(0);
    } else {
      std::vector<torch::Tensor> own = answered.unbind();
      for (torch::Tensor& a : own) a = a.reshape({rows, experts_ * hidden});
      summed = at::cat(own, 1);
    }
    return at::addmm(constant, summed.reshape({rows, pools * experts_ * hidden}),
                     w2.view({pools * experts_ * hidden, outputs}));
  }
  const torch::Tensor spread = weights.expand({routers, batch, bins, experts_});
  const auto pool_inputs = inputs.reshape({pools, routers / pools * rows, width}).unbind();
  const auto pool_weights = spread.reshape({pools, routers / pools * rows, experts_}).unbind();
  const auto first_pools = w1.unbind(), bias_pools = b1.unbind(), second_pools = w2.unbind();
  torch::Tensor out = constant;
  for (std::size_t pool = 0; pool < pool_inputs.size(); ++pool) {
    const auto first = first_pools[pool].unbind(1), bias = bias_pools[pool].unbind(),
               second = second_pools[pool].unbind();
    const auto shares = pool_weights[pool].unbind(1);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const torch::Tensor index = shares[i].detach().nonzero().squeeze(1);
      const torch::Tensor answered =
          at::dropout(at::gelu(at::addmm(bias[i], pool_inputs[pool].index_select(0, index), first[i])), dropout,
                      training) *
          shares[i].index_select(0, index).unsqueeze(1);
      if (routers > pools) {  // a pool for several modalities: their rows of one sample are added first
        const torch::Tensor summed = at::zeros({rows, hidden}, answered.options().requires_grad(false))
                                         .index_add(0, index.remainder(rows), answered);
        out = at::addmm(out, summed, second[i]);
      } else {
        out = out.index_add(0, index, at::mm(answered, second[i]));
      }
    }
  }
  return out;
}

/// clean, noisy, weights: R x B x P x N; noisy is undefined without noise.
torch::Tensor ModalityMixture::losses(const torch::Tensor& clean, const torch::Tensor& noisy,
                                      const torch::Tensor& weights, const torch::Tensor& present) const {
  torch::Tensor total;
  const auto routers = clean.size(0), places = clean.size(2);
  const bool joint = options_.router == FusionRouter::joint;
  const torch::Tensor counted = joint ? at::ones({1, clean.size(1), 1, 1}, present.options())
                                      : present.t().unsqueeze(2).unsqueeze(3).detach();  // R x B x 1 x 1
  if (options_.importance > 0)
    for (const torch::Tensor& mass : (weights * counted).sum({1, 2}).unbind())
      add_to(total, squared_variation(mass), options_.importance);
  if (options_.load > 0)
    for (std::int64_t r = 0; r < routers; ++r) {
      const torch::Tensor rows = counted[r].expand({clean.size(1), places, 1}).reshape({-1}).nonzero().squeeze(1);
      if (rows.numel() == 0) continue;
      const torch::Tensor a = clean[r].reshape({-1, experts_}).index_select(0, rows);
      const torch::Tensor b = noisy[r].reshape({-1, experts_}).index_select(0, rows);
      const torch::Tensor deviation = at::full({1, 1}, options_.noise, a.options().requires_grad(false));
      add_to(total, squared_variation(noisy_load(a, b, deviation, options_.top_k)), options_.load);
    }
  if (options_.entropy > 0) {
    const torch::Tensor count = counted.sum({1, 2, 3}) * static_cast<double>(places);  // R
    const torch::Tensor there = count.gt(0).nonzero().squeeze(1);
    const torch::Tensor mean =
        ((clean.softmax(3) * counted).sum({1, 2}) / count.clamp_min(1).unsqueeze(1)).index_select(0, there);
    if (there.numel() > 0)
      add_to(total, joint ? at::xlogy(mean, mean).sum() : modality_entropy_loss(mean), options_.entropy);
  }
  return total;
}

ModalityMixture::Result ModalityMixture::forward(const torch::Tensor& tokens, const torch::Tensor& present) const {
  const auto batch = tokens.size(1);
  const bool joint = options_.router == FusionRouter::joint;
  const bool masked = options_.missing == MissingPolicy::mask_route;
  const torch::Tensor there = present.t().unsqueeze(2).unsqueeze(3);  // M x B x 1 x 1
  torch::Tensor x =
      options_.granularity == TokenGranularity::flat ? tokens.reshape({modalities_, batch, 1, -1}) : tokens;
  if (joint && masked) x = x * there;
  const auto bins = x.size(2), width = x.size(3);
  if (joint) x = x.permute({1, 2, 0, 3}).reshape({1, batch, bins, modalities_ * width});
  const auto routers = x.size(0);
  Result out;
  torch::Tensor weights;
  if (centres.defined()) {
    const torch::Tensor seen = options_.granularity == TokenGranularity::sample ? x.mean(2, true) : x;
    const auto places = seen.size(2);
    const torch::Tensor clean = scores(seen.reshape({routers, batch * places, x.size(3)}));
    torch::Tensor noisy;
    if (is_training() && options_.noise > 0) noisy = clean + options_.noise * at::randn_like(clean);
    const torch::Tensor rows = (noisy.defined() ? noisy : clean).reshape({-1, experts_});
    const std::vector<std::int64_t> shape = {routers, batch, places, experts_};
    if (options_.top_k == 1 && experts_ > 1) {
      const torch::Tensor log_p = rows.log_softmax(1);
      weights = top_k_weights(rows.detach(), 1) * (log_p - log_p.detach()).exp();
    } else {
      weights = top_k_weights(rows, options_.top_k);
    }
    weights = weights.view(shape);
    if (masked && !joint) weights = weights * there;
    if (is_training())
      out.auxiliary_loss = losses(clean.view(shape), noisy.defined() ? noisy.view(shape) : noisy, weights, present);
    out.routing.weights = weights.detach().transpose(0, 1);
    out.routing.probabilities = clean.detach().softmax(2).view(shape).transpose(0, 1);
  } else {
    weights = masked && !joint ? there : at::ones({routers, batch, 1, 1}, x.options().requires_grad(false));
  }
  const torch::Tensor mixed = mix(x, weights);
  out.output = mixed.view({batch, bins, modalities_, width}).permute({2, 0, 1, 3}).reshape(tokens.sizes());
  return out;
}

}  // namespace clearway::deep
