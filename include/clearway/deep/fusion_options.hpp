// Which fusion model: encoders, routers, gates, missing-modality policy and the baselines beside them. No torch here.
//
// Sources: FuseMoE (Han et al. 2024, arXiv 2402.03226), mTAN (Shukla and Marlin 2021, arXiv 2101.10318), UTDE (Zhang et
// al. 2023, arXiv 2210.12156), Flex-MoE (Yun et al. 2024), MulT (Tsai et al. 2019), low-rank fusion (Liu et al. 2018).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway::deep {

enum class FusionMethod { moe, dense, late, concat, cross_attention, tensor, linear };
inline std::span<const EnumName<FusionMethod>> enum_names(FusionMethod) {
  static constexpr std::array<EnumName<FusionMethod>, 7> names{{
      {FusionMethod::moe, "moe", "transformer layers whose sparse mixtures are where modalities meet"},
      {FusionMethod::dense, "dense", "the same layers with one feed-forward network instead of experts"},
      {FusionMethod::late, "late", "one head per modality, the mean of those that are there"},
      {FusionMethod::concat, "concat", "all tokens side by side into one network"},
      {FusionMethod::cross_attention, "cross-attention", "every modality attends to every other (MulT)"},
      {FusionMethod::tensor, "tensor", "products of all modalities, of low rank (TFN, LMF)"},
      {FusionMethod::linear, "linear", "a linear model of the summaries"},
  }};
  return names;
}

enum class SeriesEncoder { summary, mtand, imputation, utde, both };
inline std::span<const EnumName<SeriesEncoder>> enum_names(SeriesEncoder) {
  static constexpr std::array<EnumName<SeriesEncoder>, 5> names{{
      {SeriesEncoder::summary, "summary",
       "mean, extremes, last, change and count of every feature, in a small network"},
      {SeriesEncoder::mtand, "mtand", "multi-time attention with a density channel"},
      {SeriesEncoder::imputation, "imputation", "last observation carried forward, causal convolution"},
      {SeriesEncoder::utde, "utde", "imputation and multi-time attention, mixed by a gate"},
      {SeriesEncoder::both, "both", "utde, and the summary added to every bin"},
  }};
  return names;
}

enum class UnifiedGateLevel { sample, bin, feature };
inline std::span<const EnumName<UnifiedGateLevel>> enum_names(UnifiedGateLevel) {
  static constexpr std::array<EnumName<UnifiedGateLevel>, 3> names{{
      {UnifiedGateLevel::sample, "sample", "one number per sample"},
      {UnifiedGateLevel::bin, "bin", "one number per time bin"},
      {UnifiedGateLevel::feature, "feature", "one number per time bin and channel"},
  }};
  return names;
}

enum class FusionRouter { joint, per_modality, disjoint };
inline std::span<const EnumName<FusionRouter>> enum_names(FusionRouter) {
  static constexpr std::array<EnumName<FusionRouter>, 3> names{{
      {FusionRouter::joint, "joint", "one gate on all modalities together"},
      {FusionRouter::per_modality, "per-modality", "a gate per modality, one pool of experts"},
      {FusionRouter::disjoint, "disjoint", "a gate and a pool of experts per modality"},
  }};
  return names;
}

enum class FusionGate { softmax, laplace, gaussian };
inline std::span<const EnumName<FusionGate>> enum_names(FusionGate) {
  static constexpr std::array<EnumName<FusionGate>, 3> names{{
      {FusionGate::softmax, "softmax", "linear scores"},
      {FusionGate::laplace, "laplace", "minus the distance to a centre"},
      {FusionGate::gaussian, "gaussian", "minus the squared distance to a centre"},
  }};
  return names;
}

enum class TokenGranularity { sample, bin, flat };
inline std::span<const EnumName<TokenGranularity>> enum_names(TokenGranularity) {
  static constexpr std::array<EnumName<TokenGranularity>, 3> names{{
      {TokenGranularity::sample, "sample", "one decision per sample and modality, from the mean over bins"},
      {TokenGranularity::bin, "bin", "one decision per time bin"},
      {TokenGranularity::flat, "flat", "one decision per sample on all bins side by side, as published"},
  }};
  return names;
}

enum class MissingPolicy { zero, learned, mask_route, bank, impute };
inline std::span<const EnumName<MissingPolicy>> enum_names(MissingPolicy) {
  static constexpr std::array<EnumName<MissingPolicy>, 5> names{{
      {MissingPolicy::zero, "zero", "zeros instead of the absent modality"},
      {MissingPolicy::learned, "learned", "a learned vector per modality (FuseMoE)"},
      {MissingPolicy::mask_route, "mask-route", "zeros that no expert is asked about"},
      {MissingPolicy::bank, "bank", "a learned vector per modality and set of those that are there (Flex-MoE)"},
      {MissingPolicy::impute, "impute", "a ridge regression on the tokens of the others"},
  }};
  return names;
}

struct FusionOptions {
  FusionMethod method = FusionMethod::moe;
  SeriesEncoder encoder = SeriesEncoder::summary;
  std::int64_t dimension = 24;
  std::int64_t bins = 12;
  std::int64_t time_dimension = 16;
  std::int64_t time_heads = 4;
  UnifiedGateLevel utde_level = UnifiedGateLevel::sample;
  std::int64_t layers = 1;
  std::int64_t heads = 4;
  FusionRouter router = FusionRouter::per_modality;
  FusionGate gate = FusionGate::laplace;
  std::int64_t experts = 6;
  std::int64_t top_k = 2;
  std::int64_t expert_hidden = 32;
  TokenGranularity granularity = TokenGranularity::sample;
  std::int64_t router_dimension = 16;
  double temperature = 0.3;
  double noise = 0;
  double importance = 0.01;
  double load = 0;
  double entropy = 0;
  MissingPolicy missing = MissingPolicy::zero;
  double modality_dropout = 0.25;
  bool mask = true;
  std::int64_t head_hidden = 64;
  double dropout = 0.3;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("method", self.method, OptionInfo{.help = "how modalities are brought together"});
    field("encoder", self.encoder, OptionInfo{.help = "what series become tokens by"});
    field("dimension", self.dimension, OptionInfo{.help = "width of tokens", .minimum = 1});
    field("bins", self.bins, OptionInfo{.help = "time bins of a series' tokens", .minimum = 1});
    field("time-dimension", self.time_dimension,
          OptionInfo{.help = "width of time embeddings (mTAND)", .minimum = 2, .source = "FuseMoE: 64"});
    field("time-heads", self.time_heads,
          OptionInfo{.help = "heads of multi-time attention; divides the time dimension", .minimum = 1});
    field("utde-level", self.utde_level, OptionInfo{.help = "what the unified gate decides for"});
    field("layers", self.layers, OptionInfo{.help = "fusion layers", .minimum = 0});
    field("heads", self.heads, OptionInfo{.help = "attention heads; divides the dimension", .minimum = 1});
    field("router", self.router, OptionInfo{.help = "who decides about experts"});
    field("gate", self.gate, OptionInfo{.help = "what scores come from"});
    field("experts", self.experts, OptionInfo{.help = "experts per layer (disjoint: per modality)", .minimum = 1});
    field("top-k", self.top_k, OptionInfo{.help = "experts per decision", .minimum = 1});
    field("expert-hidden", self.expert_hidden, OptionInfo{.help = "hidden units of an expert", .minimum = 1});
    field("granularity", self.granularity, OptionInfo{.help = "what a router decides about"});
    field("router-dimension", self.router_dimension,
          OptionInfo{.help = "dimension of the learned projection that gates see; 0: none, the whole token",
                     .minimum = 0,
                     .off = "0"});
    field("temperature", self.temperature,
          OptionInfo{.help = "initial temperature of scores, which is learned", .minimum = 0, .above_minimum = true});
    field("noise", self.noise,
          OptionInfo{.help = "standard deviation of noise on scores while training", .minimum = 0, .off = "0"});
    field("importance", self.importance,
          OptionInfo{.help = "coefficient of the importance loss", .minimum = 0, .off = "0", .source = "Shazeer 2017"});
    field("load", self.load,
          OptionInfo{.help = "coefficient of the load loss, which needs noise",
                     .minimum = 0,
                     .off = "0",
                     .source = "Shazeer 2017"});
    field("entropy", self.entropy,
          OptionInfo{.help = "coefficient of the entropy loss, minus the information between modality and expert",
                     .minimum = 0,
                     .off = "0",
                     .source = "FuseMoE, Eq. 3"});
    field("missing-policy", self.missing, OptionInfo{.help = "what stands for an absent modality"});
    field(
        "modality-dropout", self.modality_dropout,
        OptionInfo{
            .help = "chance that a modality is taken away while training", .minimum = 0, .maximum = 0.95, .off = "0"});
    field("mask", self.mask, OptionInfo{.help = "whether the head is told which modalities are there"});
    field("head-hidden", self.head_hidden,
          OptionInfo{.help = "hidden units of the head; 0: a linear head", .minimum = 0});
    field("dropout", self.dropout, OptionInfo{.help = "dropout", .minimum = 0, .maximum = 0.95, .off = "0"});
  }
};

}  // namespace clearway::deep
