// Encoders of series against their definitions, written as loops over single numbers.
#include "clearway/deep/fusion_encoders.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace clearway::deep {
namespace {

double largest(const torch::Tensor& a) {
  return a.abs().max().item<double>();
}

double number(const torch::Tensor& a, std::initializer_list<std::int64_t> place) {
  torch::Tensor one = a;
  for (const std::int64_t i : place) one = one.select(0, i);
  return one.item<double>();
}

torch::Tensor doubles(std::initializer_list<double> values, at::IntArrayRef shape) {
  return at::tensor(values, at::kDouble).view(shape);
}

TEST(MultiTimeAttention, EqualsTheLoopOverBinsHeadsAndFeatures) {
  torch::manual_seed(1);
  constexpr std::int64_t kBatch = 3, kPlaces = 7, kFeatures = 4, kHeads = 2, kBins = 5;
  const torch::Tensor mask = at::rand({kBatch, kPlaces, kFeatures}, at::kDouble).lt(0.5).to(at::kDouble);
  mask.select(0, 1).select(1, 2).zero_();  // a feature of one sample never observed
  const torch::Tensor values = at::randn_like(mask) * mask;
  for (const bool shared : {true, false}) {
    const torch::Tensor scores = 5 * (shared ? at::randn({kHeads, kBins, kPlaces}, at::kDouble)
                                             : at::randn({kBatch, kHeads, kBins, kPlaces}, at::kDouble));
    const TimeAttention ours = multi_time_attention(values, mask, scores);
    for (std::int64_t b = 0; b < kBatch; ++b)
      for (std::int64_t f = 0; f < kFeatures; ++f)
        for (std::int64_t h = 0; h < kHeads; ++h)
          for (std::int64_t t = 0; t < kBins; ++t) {
            double above = 0, below = 0;
            for (std::int64_t l = 0; l < kPlaces; ++l) {
              const double e =
                  number(mask, {b, l, f}) * std::exp(shared ? number(scores, {h, t, l}) : number(scores, {b, h, t, l}));
              above += e * number(values, {b, l, f});
              below += e;
            }
            // Sums of 7 numbers of one size each in double.
            EXPECT_NEAR(number(ours.mean, {b, f, h, t}), below > 0 ? above / below : 0, 1e-12);
            EXPECT_NEAR(number(ours.density, {b, f, h, t}), std::log1p(below), 1e-12);
          }
    EXPECT_EQ(largest(ours.mean.select(0, 1).select(0, 2)), 0);
    EXPECT_EQ(largest(ours.density.select(0, 1).select(0, 2)), 0);
    const TimeAttention single =
        multi_time_attention(values.to(at::kFloat), mask.to(at::kFloat), scores.to(at::kFloat));
    EXPECT_LT(largest(single.mean - ours.mean), 1e-5);
    EXPECT_LT(largest(single.density - ours.density), 1e-5);
  }
}

// exp(800) is no number: the mean does not feel the constant, the density is then the constant plus log of the count.
TEST(MultiTimeAttention, LargeScoresAreNoTrouble) {
  const torch::Tensor mask = at::ones({1, 4, 1}, at::kDouble), values = doubles({1, 2, 3, 4}, {1, 4, 1});
  const TimeAttention seen = multi_time_attention(values, mask, at::full({1, 2, 4}, 800.0, at::kDouble));
  EXPECT_LT(largest(seen.mean - 2.5), 1e-12);
  EXPECT_LT(largest(seen.density - (800 + std::log(4.0))), 1e-12);
}

TEST(CarryForward, KeepsTheLastObservationThroughEmptyBins) {
  const CarriedForward filled =
      carry_forward(doubles({1, 7}, {1, 2, 1}), at::ones({1, 2, 1}, at::kDouble), doubles({0.1, 0.8}, {2}), 4);
  EXPECT_LT(largest(filled.values.view({4}) - doubles({1, 1, 1, 7}, {4})), 1e-15);
  EXPECT_LT(largest(filled.observed.view({4}) - doubles({1, 0, 0, 1}, {4})), 1e-15);
  EXPECT_LT(largest(filled.age.view({4}) - doubles({0.15, 0.4, 0.65, 0.2}, {4})), 1e-12);
}

// The released code kept 5 in the second hour: the last observation within a bin counts, and a row without the feature
// does not overwrite it.
TEST(CarryForward, TheLastObservationWithinABinCounts) {
  const double h = 48;
  const torch::Tensor times = doubles({0.5 / h, 1.2 / h, 1.7 / h, 2.1 / h, 2.9 / h, 1}, {6});
  const torch::Tensor values = doubles({5, 2, 0, 3, 4, 9}, {1, 6, 1});
  const torch::Tensor mask = doubles({1, 1, 0, 1, 1, 1}, {1, 6, 1});
  const torch::Tensor filled = carry_forward(values, mask, times, 48).values.view({48});
  EXPECT_EQ(number(filled, {0}), 5);
  EXPECT_EQ(number(filled, {1}), 2);
  EXPECT_EQ(number(filled, {2}), 4);
  EXPECT_EQ(number(filled, {46}), 4);
  EXPECT_EQ(number(filled, {47}), 9);
}

TEST(CarryForward, EqualsTheLoopForPlacesInAnyOrder) {
  torch::manual_seed(2);
  constexpr std::int64_t kBatch = 4, kPlaces = 9, kFeatures = 3;
  for (const std::int64_t bins : {1, 5, 12}) {
    const torch::Tensor mask = at::rand({kBatch, kPlaces, kFeatures}, at::kDouble).lt(0.3).to(at::kDouble);
    const torch::Tensor values = at::randn_like(mask) * mask, times = at::rand({kBatch, kPlaces}, at::kDouble);
    const CarriedForward filled = carry_forward(values, mask, times, bins);
    for (std::int64_t b = 0; b < kBatch; ++b)
      for (std::int64_t f = 0; f < kFeatures; ++f)
        for (std::int64_t t = 0; t < bins; ++t) {
          const double begin = static_cast<double>(t) / static_cast<double>(bins);
          const double end = static_cast<double>(t + 1) / static_cast<double>(bins);
          double latest = -1, value = 0;
          for (std::int64_t l = 0; l < kPlaces; ++l) {
            const double when = number(times, {b, l});
            if (number(mask, {b, l, f}) == 0 || when >= end || when < latest) continue;
            latest = when;
            value = number(values, {b, l, f});
          }
          EXPECT_EQ(number(filled.values, {b, t, f}), value);
          EXPECT_EQ(number(filled.observed, {b, t, f}), latest >= begin ? 1 : 0);
          EXPECT_NEAR(number(filled.age, {b, t, f}), latest < 0 ? 1 : end - latest, 1e-15);
        }
  }
}

// With a gate that is shut to one side the unified encoder is one of its two branches.
TEST(UnifiedGate, ShutToOneSideIsOneBranch) {
  const fusion::ModalityShape shape{"vitals", fusion::ModalityKind::irregular, 3, 21};
  for (const auto level : {UnifiedGateLevel::sample, UnifiedGateLevel::bin, UnifiedGateLevel::feature}) {
    torch::manual_seed(3);
    FusionOptions options;
    options.dimension = 6;
    options.utde_level = level;
    ModalityBatch batch;
    batch.mask = at::rand({5, 8, 3}).lt(0.5).to(at::kFloat);
    batch.values = at::randn({5, 8, 3}) * batch.mask;
    batch.times = at::rand({5, 8});
    options.encoder = SeriesEncoder::utde;
    ModalityEncoder unified(options, shape, 4);
    unified.eval();
    for (const auto branch : {SeriesEncoder::imputation, SeriesEncoder::mtand}) {
      const torch::NoGradGuard off;
      options.encoder = branch;
      ModalityEncoder alone(options, shape, 4);
      alone.eval();
      for (auto& item : alone.named_parameters()) item.value().copy_(unified.named_parameters()[item.key()]);
      const torch::Tensor open = unified.forward(batch);
      EXPECT_GT(largest(open - alone.forward(batch)), 1e-4);
      torch::Tensor bias = unified.named_parameters()["gate_output_bias"];
      // 1 / (1 + e^60) is below the resolution of float beside 1.
      bias.fill_(branch == SeriesEncoder::imputation ? 60 : -60);
      EXPECT_LT(largest(unified.forward(batch) - alone.forward(batch)), 1e-6);
      bias.zero_();
    }
  }
}

}  // namespace
}  // namespace clearway::deep
