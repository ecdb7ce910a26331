// The mixture over modalities against loops over samples, modalities and experts; gates and losses against definitions.
#include "clearway/deep/fusion_mixture.hpp"

#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "clearway/deep/routers/noisy.hpp"

namespace clearway::deep {
namespace {

using Row = std::vector<double>;

double largest(const torch::Tensor& a) {
  return a.abs().max().item<double>();
}

Row row(const torch::Tensor& a) {
  const torch::Tensor flat = a.detach().to(at::kDouble).reshape({-1}).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

/// x W, W with one row per entry of x.
Row times(const Row& x, const torch::Tensor& w) {
  const Row flat = row(w);
  const std::size_t outputs = flat.size() / x.size();
  Row out(outputs);
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < outputs; ++j) out[j] += x[i] * flat[i * outputs + j];
  return out;
}

double entropy(const Row& p) {
  double sum = 0;
  for (const double x : p) sum -= x > 0 ? x * std::log(x) : 0;
  return sum;
}

double squared_variation(const Row& values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean) / n;
  return squares / (mean * mean + 1e-10);
}

constexpr std::int64_t kModalities = 3, kBatch = 7, kBins = 4, kWidth = 5;

FusionOptions small() {
  FusionOptions options;
  options.dimension = kWidth;
  options.experts = 4;
  options.top_k = 2;
  options.expert_hidden = 6;
  options.router_dimension = 3;
  options.dropout = 0;
  options.importance = 0;
  return options;
}

torch::Tensor some_present() {
  const torch::Tensor present = at::rand({kBatch, kModalities}, at::kDouble).lt(0.6).to(at::kDouble);
  present.select(0, 0).fill_(1);
  return present;
}

/// What the mixture should give, one number after the other: M x B x T x D.
torch::Tensor by_hand(const ModalityMixture& mixture, const FusionOptions& options, const torch::Tensor& tokens,
                      const torch::Tensor& present) {
  const bool joint = options.router == FusionRouter::joint, flat = options.granularity == TokenGranularity::flat;
  const bool sample = options.granularity == TokenGranularity::sample;
  const bool masked = options.missing == MissingPolicy::mask_route;
  const std::int64_t routers = joint ? 1 : kModalities, bins = flat ? 1 : kBins, width = flat ? kBins * kWidth : kWidth;
  torch::Tensor out = at::zeros({kModalities, kBatch, bins, width}, at::kDouble);
  const torch::Tensor x = tokens.detach().reshape({kModalities, kBatch, bins, width});
  for (std::int64_t b = 0; b < kBatch; ++b)
    for (std::int64_t r = 0; r < routers; ++r) {
      if (!joint && masked && present[b][r].item<double>() == 0) continue;
      const auto input = [&](std::int64_t t) {
        if (!joint) return row(x[r][b][t]);
        Row all;
        for (std::int64_t m = 0; m < kModalities; ++m)
          for (const double v : row(x[m][b][t])) all.push_back(masked && present[b][m].item<double>() == 0 ? 0 : v);
        return all;
      };
      for (std::int64_t t = 0; t < bins; ++t) {
        Row seen = input(t);
        if (sample) {
          std::fill(seen.begin(), seen.end(), 0);
          for (std::int64_t s = 0; s < bins; ++s) {
            const Row one = input(s);
            for (std::size_t i = 0; i < seen.size(); ++i) seen[i] += one[i] / static_cast<double>(bins);
          }
        }
        if (mixture.projection.defined()) seen = times(seen, mixture.projection[r]);
        std::vector<std::pair<double, std::int64_t>> order;
        for (std::int64_t i = 0; i < options.experts; ++i) {
          const Row centre = row(mixture.centres[r][i]);
          double dot = 0, square = 0;
          for (std::size_t j = 0; j < seen.size(); ++j) {
            dot += seen[j] * centre[j];
            square += (seen[j] - centre[j]) * (seen[j] - centre[j]);
          }
          const double score = options.gate == FusionGate::softmax   ? dot
                               : options.gate == FusionGate::laplace ? -std::sqrt(square)
                                                                     : -square;
          const double temperature = std::exp(mixture.log_temperature[r].item<double>());
          order.emplace_back(-(score / temperature + mixture.intercepts[r][0][i].item<double>()), i);
        }
        std::sort(order.begin(), order.end());
        double total = 0;
        for (std::int64_t k = 0; k < options.top_k; ++k) total += std::exp(-order[static_cast<std::size_t>(k)].first);
        for (std::int64_t k = 0; k < options.top_k; ++k) {
          const auto [score, i] = order[static_cast<std::size_t>(k)];
          const std::int64_t pool = options.router == FusionRouter::disjoint ? r : 0;
          Row hidden = times(input(t), mixture.w1[pool].select(1, i).contiguous());
          const Row bias = row(mixture.b1[pool][i]);
          for (std::size_t j = 0; j < hidden.size(); ++j) {
            const double a = hidden[j] + bias[j];
            hidden[j] = a * 0.5 * std::erfc(-a / std::sqrt(2.0));
          }
          const Row answer = times(hidden, mixture.w2[pool][i]);
          const Row constant = row(mixture.b2[pool * options.experts + i]);
          for (std::int64_t m = 0; m < kModalities; ++m)
            for (std::int64_t d = 0; d < width; ++d) {
              const auto j = static_cast<std::size_t>(m * width + d);
              out[m][b][t][d] += std::exp(-score) / total * (answer[j] + constant[j]);
            }
        }
      }
    }
  return out.view({kModalities, kBatch, kBins, kWidth});
}

TEST(ModalityMixture, EqualsTheLoopOverSamplesAndExperts) {
  torch::manual_seed(1);
  for (const auto router : {FusionRouter::joint, FusionRouter::per_modality, FusionRouter::disjoint})
    for (const auto gate : {FusionGate::softmax, FusionGate::laplace, FusionGate::gaussian})
      for (const auto granularity : {TokenGranularity::sample, TokenGranularity::bin, TokenGranularity::flat})
        for (const auto missing : {MissingPolicy::zero, MissingPolicy::mask_route}) {
          FusionOptions options = small();
          options.router = router;
          options.gate = gate;
          options.granularity = granularity;
          options.missing = missing;
          options.router_dimension = granularity == TokenGranularity::bin ? 0 : 3;
          ModalityMixture mixture(options, kModalities, kBins);
          mixture.to(at::kDouble);
          {
            const torch::NoGradGuard off;
            for (torch::Tensor& a : mixture.parameters()) a.add_(0.1 * at::randn_like(a));
          }
          mixture.eval();
          const torch::Tensor present = some_present();
          const torch::Tensor tokens =
              at::randn({kModalities, kBatch, kBins, kWidth}, at::kDouble).set_requires_grad(true);
          std::vector<torch::Tensor> wanted = mixture.parameters();
          wanted.push_back(tokens);
          const torch::Tensor direction = at::randn_like(tokens);
          std::vector<torch::Tensor> outputs;
          std::vector<std::vector<torch::Tensor>> gradients;
          for (const auto dispatch : {ExpertDispatch::dense, ExpertDispatch::gathered}) {
            mixture.dispatch = dispatch;
            outputs.push_back(mixture.forward(tokens, present).output);
            gradients.push_back(torch::autograd::grad({(outputs.back() * direction).sum()}, wanted));
          }
          // Sums of some tens of products of numbers of size 1 in double.
          EXPECT_LT(largest(outputs[0] - by_hand(mixture, options, tokens, present)), 1e-12);
          EXPECT_LT(largest(outputs[0] - outputs[1]), 1e-12);
          for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(largest(gradients[0][i] - gradients[1][i]), 1e-11);
        }
}

// Whatever the gate and its width, the scores of the experts begin with a spread of about 1: at a spread far below no
// expert differs from another, far above none but one is ever asked.
TEST(ModalityMixture, ScoresBeginWithASpreadOfAboutOne) {
  torch::manual_seed(10);
  for (const auto router : {FusionRouter::joint, FusionRouter::per_modality})
    for (const auto gate : {FusionGate::softmax, FusionGate::laplace, FusionGate::gaussian})
      for (const std::int64_t seen : {0, 4, 16, 64})
        for (const double temperature : {0.1, 0.3, 1.0}) {
          FusionOptions options = small();
          options.dimension = 24;
          options.experts = 50;
          options.router = router;
          options.gate = gate;
          options.router_dimension = seen;
          options.temperature = temperature;
          ModalityMixture mixture(options, 8, 1);
          mixture.eval();
          const torch::Tensor scores =
              mixture.forward(at::randn({8, 40, 1, 24}), at::ones({40, 8})).routing.probabilities.log();
          const double spread = scores.std(3).mean().item<double>();
          EXPECT_GT(spread, 0.5) << enum_name(gate) << ' ' << seen << ' ' << temperature;
          EXPECT_LT(spread, 2) << enum_name(gate) << ' ' << seen << ' ' << temperature;
        }
}

// Float goes through other kernels than double: its gradients agree to about 1e-5 of their size.
TEST(ModalityMixture, GradientsInFloatEqualThoseInDouble) {
  torch::manual_seed(9);
  for (const auto router : {FusionRouter::joint, FusionRouter::per_modality, FusionRouter::disjoint})
    for (const auto dispatch : {ExpertDispatch::dense, ExpertDispatch::gathered})
      for (const auto granularity : {TokenGranularity::sample, TokenGranularity::bin}) {
        FusionOptions options = small();
        options.router = router;
        options.granularity = granularity;
        options.top_k = 4;  // so that rounding changes no choice
        ModalityMixture mixture(options, kModalities, kBins);
        mixture.dispatch = dispatch;
        const torch::Tensor tokens = at::randn({kModalities, kBatch, kBins, kWidth}),
                            direction = at::randn_like(tokens);
        const torch::Tensor present = at::ones({kBatch, kModalities});
        const auto gradients = [&](at::ScalarType type) {
          mixture.to(type);
          const torch::Tensor x = tokens.to(type).set_requires_grad(true);
          std::vector<torch::Tensor> wanted = mixture.parameters();
          wanted.push_back(x);
          return torch::autograd::grad({(mixture.forward(x, present.to(type)).output * direction.to(type)).sum()},
                                       wanted);
        };
        const auto single = gradients(at::kFloat), precise = gradients(at::kDouble);
        for (std::size_t i = 0; i < single.size(); ++i)
          EXPECT_LT(largest(single[i] - precise[i]), 1e-5 * (1 + largest(precise[i]))) << i;
      }
}

TEST(ModalityMixture, WeightsSumToOneOverTheChosen) {
  torch::manual_seed(2);
  for (const auto missing : {MissingPolicy::zero, MissingPolicy::mask_route})
    for (const std::int64_t k : {1, 2, 4}) {
      FusionOptions options = small();
      options.missing = missing;
      options.top_k = k;
      options.granularity = TokenGranularity::bin;
      options.noise = 0.5;
      ModalityMixture mixture(options, kModalities, kBins);
      mixture.to(at::kDouble);
      const torch::Tensor present = some_present();
      const FusionRouting routing =
          mixture.forward(at::randn({kModalities, kBatch, kBins, kWidth}, at::kDouble), present).routing;
      ASSERT_EQ(routing.weights.sizes(), at::IntArrayRef({kBatch, kModalities, kBins, 4}));
      const torch::Tensor asked =
          missing == MissingPolicy::mask_route ? present.unsqueeze(2) : at::ones({1, 1, 1}, at::kDouble);
      EXPECT_LT(largest(routing.weights.sum(3) - asked), 1e-12);
      EXPECT_LT(largest(routing.weights.gt(0).sum(3).to(at::kDouble) - asked * static_cast<double>(k)), 1e-12);
      EXPECT_LT(largest(routing.probabilities.sum(3) - 1), 1e-12);
    }
}

TEST(TopKWeights, AreTheSoftmaxOfTheChosen) {
  const torch::Tensor scores = at::tensor({1.0, 3.0, 2.0, 3.0}, at::kDouble).view({1, 4});
  const double e = std::exp(-1);
  const torch::Tensor three = at::tensor({0.0, 1.0, e, 1.0}, at::kDouble).view({1, 4}) / (2 + e);
  EXPECT_LT(largest(top_k_weights(scores, 3) - three), 1e-15);
  EXPECT_LT(largest(top_k_weights(scores, 1) - at::tensor({0.0, 1.0, 0.0, 0.0}, at::kDouble)), 1e-15);
}

// |h_i - h_j| <= |W_i - W_j| whatever the input, however large (the triangle inequality).
TEST(FusionGates, LaplaceScoresDifferByTheDistanceOfTheCentresAtMost) {
  torch::manual_seed(3);
  for (const double scale : {0.1, 1.0, 1e4}) {
    const torch::Tensor x = scale * at::randn({50, 6}, at::kDouble), centres = at::randn({5, 6}, at::kDouble);
    const torch::Tensor scores = fusion_gate_scores(FusionGate::laplace, x, centres);
    const torch::Tensor gaps = (scores.unsqueeze(2) - scores.unsqueeze(1)).abs();
    const torch::Tensor bounds = (centres.unsqueeze(1) - centres.unsqueeze(0)).square().sum(2).sqrt();
    EXPECT_TRUE(gaps.le(bounds + 1e-15 * scale * 100).all().item<bool>());
  }
}

// Central differences of step 1e-5 are exact to 1e-10 times the third derivative, which is at most a few hundred for
// distances above 0.1; at the centre itself both sides fall alike.
TEST(FusionGates, GradientsEqualFiniteDifferencesEvenAtACentre) {
  torch::manual_seed(4);
  for (const auto gate : {FusionGate::softmax, FusionGate::laplace, FusionGate::gaussian}) {
    const torch::Tensor centres = at::randn({3, 4}, at::kDouble);
    torch::Tensor x = at::randn({3, 4}, at::kDouble);
    x[0].copy_(centres[1]);
    const torch::Tensor direction = at::randn({3, 3}, at::kDouble);
    const auto value = [&](const torch::Tensor& a, const torch::Tensor& c) {
      return (fusion_gate_scores(gate, a, c) * direction).sum();
    };
    const torch::Tensor a = x.clone().set_requires_grad(true), c = centres.clone().set_requires_grad(true);
    const auto gradients = torch::autograd::grad({value(a, c)}, {a, c});
    for (const int which : {0, 1})
      for (std::int64_t i = 0; i < 3; ++i)
        for (std::int64_t j = 0; j < 4; ++j) {
          constexpr double kStep = 1e-5;
          const auto moved = [&](double step) {
            torch::Tensor one = x.clone(), other = centres.clone();
            (which == 0 ? one : other)[i][j].add_(step);
            return value(one, other).item<double>();
          };
          EXPECT_NEAR(gradients[static_cast<std::size_t>(which)][i][j].item<double>(),
                      (moved(kStep) - moved(-kStep)) / (2 * kStep), 1e-7);
        }
  }
}

TEST(EntropyLoss, IsMinusTheJensenShannonDivergence) {
  torch::manual_seed(5);
  for (const std::int64_t routers : {2, 3, 8})
    for (const double sharpness : {0.1, 3.0, 100.0}) {
      const torch::Tensor p = (sharpness * at::randn({routers, 4}, at::kDouble)).softmax(1);
      Row mean(4);
      for (std::int64_t m = 0; m < routers; ++m)
        for (std::size_t i = 0; i < 4; ++i) mean[i] += row(p[m])[i] / static_cast<double>(routers);
      double divergence = 0;
      for (std::int64_t m = 0; m < routers; ++m) {
        const Row own = row(p[m]);
        for (std::size_t i = 0; i < 4; ++i)
          if (own[i] > 0) divergence += own[i] * std::log(own[i] / mean[i]) / static_cast<double>(routers);
      }
      const double loss = modality_entropy_loss(p).item<double>();
      EXPECT_NEAR(loss, -divergence, 1e-12);
      EXPECT_GE(loss, -std::log(static_cast<double>(std::min<std::int64_t>(routers, 4))) - 1e-12);
      EXPECT_LE(loss, 1e-12);
    }
  EXPECT_NEAR(modality_entropy_loss(at::eye(4, at::kDouble)).item<double>(), -std::log(4.0), 1e-12);
}

/// The auxiliary loss of a training step with only these coefficients, and its routing.
ModalityMixture::Result trained(FusionOptions options, const torch::Tensor& present) {
  torch::manual_seed(6);
  ModalityMixture mixture(options, kModalities, kBins);
  mixture.to(at::kDouble);
  return mixture.forward(at::randn({kModalities, kBatch, kBins, kWidth}, at::kDouble), present);
}

// Means and masses over decisions about modalities that are there, by loops over what forward() tells of the routing.
TEST(ModalityMixture, LossesEqualTheirDefinitions) {
  torch::manual_seed(7);
  const torch::Tensor present = some_present();
  for (const auto router : {FusionRouter::joint, FusionRouter::per_modality}) {
    FusionOptions options = small();
    options.router = router;
    options.granularity = TokenGranularity::bin;
    const bool joint = router == FusionRouter::joint;
    const std::int64_t routers = joint ? 1 : kModalities;
    options.importance = 0.7;
    const auto importance = trained(options, present);
    options.importance = 0;
    options.entropy = 0.3;
    const auto entropies = trained(options, present);
    double wanted_importance = 0, mean_entropy = 0;
    Row mean(4);
    for (std::int64_t r = 0; r < routers; ++r) {
      Row mass(4), average(4);
      double count = 0;
      for (std::int64_t b = 0; b < kBatch; ++b)
        if (joint || present[b][r].item<double>() != 0)
          for (std::int64_t t = 0; t < kBins; ++t) {
            const Row w = row(importance.routing.weights[b][r][t]), p = row(entropies.routing.probabilities[b][r][t]);
            for (std::size_t i = 0; i < 4; ++i) {
              mass[i] += w[i];
              average[i] += p[i];
            }
            ++count;
          }
      wanted_importance += squared_variation(mass);
      for (std::size_t i = 0; i < 4; ++i) {
        average[i] /= count;
        mean[i] += average[i] / static_cast<double>(routers);
      }
      mean_entropy += entropy(average) / static_cast<double>(routers);
    }
    EXPECT_NEAR(importance.auxiliary_loss.item<double>(), 0.7 * wanted_importance, 1e-12);
    EXPECT_NEAR(entropies.auxiliary_loss.item<double>(), 0.3 * ((joint ? 0 : mean_entropy) - entropy(mean)), 1e-12);
  }
}

// Equal weights on half of two experts: masses (2, 0) have variance 1 and mean 1; (3, 1) 1 and 2.
TEST(ModalityMixture, SquaredVariationHasItsHandValues) {
  EXPECT_NEAR(squared_variation({2, 0}), 1, 1e-9);
  EXPECT_NEAR(squared_variation({3, 1}), 0.25, 1e-9);
  EXPECT_NEAR(squared_variation({1, 2, 3, 4}), 1.25 / 6.25, 1e-9);
}

// P that an expert is among the K under a new draw of its own noise, the others' kept: its share in n draws is within 5
// standard deviations, 5 sqrt(1 / (4 n)), but for 1 case in 10^6.
TEST(ModalityMixture, LoadIsTheChanceToBeChosenAgain) {
  torch::manual_seed(8);
  constexpr std::int64_t kDraws = 40000, kExperts = 5, kChosen = 2;
  constexpr double kNoise = 0.8;
  const torch::Tensor clean = at::randn({1, kExperts}, at::kDouble);
  const torch::Tensor noisy = clean + kNoise * at::randn({1, kExperts}, at::kDouble);
  const torch::Tensor load = noisy_load(clean, noisy, at::full({1, 1}, kNoise, at::kDouble), kChosen);
  for (std::int64_t i = 0; i < kExperts; ++i) {
    torch::Tensor scores = noisy.repeat({kDraws, 1});
    scores.select(1, i).copy_(clean[0][i] + kNoise * at::randn({kDraws}, at::kDouble));
    const double share = top_k_weights(scores, kChosen).select(1, i).gt(0).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(load[i].item<double>(), share, 5 * std::sqrt(0.25 / static_cast<double>(kDraws)));
  }
  // In the layer: every sample and bin of a present modality counts, and its gradient reaches the router.
  FusionOptions options = small();
  options.noise = kNoise;
  options.load = 0.1;
  ModalityMixture mixture(options, kModalities, kBins);
  const torch::Tensor loss =
      mixture.forward(at::randn({kModalities, kBatch, kBins, kWidth}), some_present().to(at::kFloat)).auxiliary_loss;
  loss.backward();
  for (std::int64_t r = 0; r < kModalities; ++r) EXPECT_GT(largest(mixture.centres.grad()[r]), 0);
}

}  // namespace
}  // namespace clearway::deep
