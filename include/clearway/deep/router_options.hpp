// Which router a sparse layer has, and its settings. No torch in this header: it also yields flags, JSON and help.
//
// A negative coefficient means "the policy's own default", which docs/routers.md lists with its source.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "clearway/base/options.hpp"

namespace clearway::deep {

enum class RouterKind {
  smoe,
  noisy,
  switch_top1,
  gshard,
  xmoe,
  cosine,
  stable,
  dropout,
  hash,
  base,
  expert_choice,
  sigmoid,
  bias,
  relu,
  laplace,
  soft,
  random,
  dense,
  compete,
  compete_v1,
  compete_v2,
};
inline std::span<const EnumName<RouterKind>> enum_names(RouterKind) {
  static constexpr std::array<EnumName<RouterKind>, 21> names{{
      {RouterKind::smoe, "smoe", "top-k of a linear router, softmax weights, balance loss"},
      {RouterKind::noisy, "noisy", "noisy top-k with importance and load losses (Shazeer et al. 2017)"},
      {RouterKind::switch_top1, "switch", "top-1, weighted by its probability (Fedus et al. 2022)"},
      {RouterKind::gshard, "gshard", "top-2, the second kept at random by its weight (Lepikhin et al. 2021)"},
      {RouterKind::xmoe, "xmoe", "cosine scores in a low dimension, learned temperature (Chi et al. 2022)"},
      {RouterKind::cosine, "cosine", "perturbed cosine scores (Nguyen et al. 2024, arXiv 2405.14131)"},
      {RouterKind::stable, "stable", "two stages: learn, distil into a light router, freeze (Dai et al. 2022)"},
      {RouterKind::dropout, "dropout", "frozen random router, growing k (SMoE-Dropout, Chen et al. 2023)"},
      {RouterKind::hash, "hash", "a fixed table from token to expert (Roller et al. 2021)"},
      {RouterKind::base, "base", "balanced assignment while training (BASE, Lewis et al. 2021)"},
      {RouterKind::expert_choice, "expert-choice", "experts take tokens; not causal (Zhou et al. 2022)"},
      {RouterKind::sigmoid, "sigmoid", "sigmoid scores, top-k (sigma-MoE, Csordas et al. 2023)"},
      {RouterKind::bias, "bias", "sigmoid scores, selection bias instead of a balance loss (Wang et al. 2024)"},
      {RouterKind::relu, "relu", "ReLU scores, as many experts as are positive (ReMoE, Wang et al. 2025)"},
      {RouterKind::laplace, "laplace", "minus the distance to a centre (FuseMoE, Han et al. 2024)"},
      {RouterKind::soft, "soft", "experts see mixtures of tokens; not causal (Puigcerver et al. 2024)"},
      {RouterKind::random, "random", "a frozen random linear router: a control"},
      {RouterKind::dense, "dense", "all experts, softmax weights: a reference"},
      {RouterKind::compete, "compete", "experts compete by standardised response, the router learns the winners by KL"},
      {RouterKind::compete_v1, "compete-v1", "CompeteSMoE as first published (Pham et al. 2024, arXiv 2402.02526)"},
      {RouterKind::compete_v2, "compete-v2", "CompeteSMoE, second version (Nguyen et al. 2025, arXiv 2505.13380)"},
  }};
  return names;
}

/// Weights of the selected experts.
enum class WeightForm { renormalised, probability };
inline std::span<const EnumName<WeightForm>> enum_names(WeightForm) {
  static constexpr std::array<EnumName<WeightForm>, 2> names{{
      {WeightForm::renormalised, "renormalised", "softmax over the selected experts: sums to 1"},
      {WeightForm::probability, "probability", "softmax over all experts, as it is: sums to at most 1"},
  }};
  return names;
}

/// How strongly an expert responds: what competition compares.
enum class Affinity { policy, norm, softplus, relu, sigmoid, silu, combined };
inline std::span<const EnumName<Affinity>> enum_names(Affinity) {
  static constexpr std::array<EnumName<Affinity>, 7> names{{
      {Affinity::policy, "policy", "the router's own"},
      {Affinity::norm, "norm", "Euclidean norm of the response (v1)"},
      {Affinity::softplus, "softplus", "mean softplus of the response (v2)"},
      {Affinity::relu, "relu", "mean ReLU of the response"},
      {Affinity::sigmoid, "sigmoid", "mean sigmoid of the response"},
      {Affinity::silu, "silu", "mean SiLU of the response"},
      {Affinity::combined, "combined", "half the norm and half the router's score (v1, combine_gate)"},
  }};
  return names;
}

/// How the router learns the outcome of the competition.
enum class Distillation { policy, mse_winners, mse, kl, kl_winners };
inline std::span<const EnumName<Distillation>> enum_names(Distillation) {
  static constexpr std::array<EnumName<Distillation>, 5> names{{
      {Distillation::policy, "policy", "the router's own"},
      {Distillation::mse_winners, "mse-winners", "squared error to the softmax over the winners (v1)"},
      {Distillation::mse, "mse", "squared error to the softmax of all affinities, and on the winners (v2)"},
      {Distillation::kl, "kl", "KL from the softmax of standardised affinities"},
      {Distillation::kl_winners, "kl-winners", "KL from the softmax of standardised affinities over the winners"},
  }};
  return names;
}

/// When experts compete.
enum class CompetitionUse { scheduled, always, oracle };
inline std::span<const EnumName<CompetitionUse>> enum_names(CompetitionUse) {
  static constexpr std::array<EnumName<CompetitionUse>, 3> names{{
      {CompetitionUse::scheduled, "scheduled", "in the training steps that the schedule drew"},
      {CompetitionUse::always, "always", "in every training step; the router decides afterwards"},
      {CompetitionUse::oracle, "oracle", "in every step and afterwards, too: all experts are evaluated"},
  }};
  return names;
}

/// What the scores of a learned router come from.
enum class RouterNetwork { linear, mlp };
inline std::span<const EnumName<RouterNetwork>> enum_names(RouterNetwork) {
  static constexpr std::array<EnumName<RouterNetwork>, 2> names{{
      {RouterNetwork::linear, "linear", "one linear map"},
      {RouterNetwork::mlp, "mlp", "one hidden layer, at least 64 wide: can follow a norm, which is quadratic"},
  }};
  return names;
}

struct RouterOptions {
  RouterKind router = RouterKind::smoe;
  std::int64_t top_k = 2;
  WeightForm weights = WeightForm::renormalised;
  RouterNetwork router_network = RouterNetwork::linear;
  double balance = -1;
  double z_loss = -1;
  double entropy_loss = 0;
  std::int64_t router_dimension = -1;
  double router_temperature = -1;
  double noise = -1;
  double stage_one = 0.1;
  std::int64_t first_top_k = -1;
  CompetitionUse competition = CompetitionUse::scheduled;
  double competition_rate = -1;
  std::int64_t competing_layers = -1;
  double competition_warmup = 0.05;
  Affinity affinity = Affinity::policy;
  Distillation distillation = Distillation::policy;
  double distillation_weight = -1;
  double winner_weight = -1;
  double target_sharpness = 1;
  double diversity = -1;
  double competition_balance = -1;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("router", self.router, OptionInfo{.help = "routing policy"});
    field("top-k", self.top_k, OptionInfo{.help = "experts per token", .minimum = 1});
    field("weights", self.weights, OptionInfo{.help = "weights of the selected experts"});
    field("router-network", self.router_network, OptionInfo{.help = "what a learned router computes its scores with"});
    field("balance", self.balance,
          OptionInfo{.help = "coefficient of the load balance loss; negative: the policy's own", .off = "0"});
    field("z-loss", self.z_loss,
          OptionInfo{.help = "coefficient of the squared logsumexp of the scores; negative: the policy's own",
                     .off = "0",
                     .source = "Zoph et al. 2022, arXiv 2202.08906"});
    field("entropy-loss", self.entropy_loss,
          OptionInfo{.help = "coefficient of the mean entropy of the router's distribution", .off = "0"});
    field("router-dimension", self.router_dimension,
          OptionInfo{.help = "dimension of cosine routers and of StableMoE's light router; -1: the policy's own",
                     .minimum = -1});
    field("router-temperature", self.router_temperature,
          OptionInfo{.help = "temperature of cosine and Laplace scores; negative: the policy's own"});
    field("noise", self.noise,
          OptionInfo{.help = "perturbation of cosine routers, noise of the noisy router; negative: the policy's own",
                     .off = "0"});
    field("stage-one", self.stage_one,
          OptionInfo{.help = "StableMoE: share of training before the router freezes", .minimum = 0, .maximum = 1});
    field("first-top-k", self.first_top_k,
          OptionInfo{.help = "SMoE-Dropout: experts per token at the start, growing to all; -1: top-k", .minimum = -1});
    field("competition", self.competition, OptionInfo{.help = "when experts compete"});
    field("competition-rate", self.competition_rate,
          OptionInfo{.help = "chance that a layer competes in a training step; negative: the policy's own",
                     .maximum = 1});
    field("competing-layers", self.competing_layers,
          OptionInfo{.help = "most layers that compete in one step; -1: the policy's own", .minimum = -1});
    field("competition-warmup", self.competition_warmup,
          OptionInfo{.help = "share of training before the first competition", .minimum = 0, .maximum = 1, .off = "0"});
    field("affinity", self.affinity, OptionInfo{.help = "how strongly an expert responds"});
    field("distillation", self.distillation, OptionInfo{.help = "how the router learns the winners"});
    field("distillation-weight", self.distillation_weight,
          OptionInfo{.help = "coefficient of the distillation loss; negative: the policy's own", .off = "0"});
    field(
        "winner-weight", self.winner_weight,
        OptionInfo{.help = "coefficient of the distillation on winners alone; negative: the policy's own", .off = "0"});
    field("target-sharpness", self.target_sharpness,
          OptionInfo{
              .help = "factor on standardised affinities before their softmax", .minimum = 0, .above_minimum = true});
    field("diversity", self.diversity,
          OptionInfo{.help = "coefficient of the similarity of winners' responses; negative: the policy's own",
                     .off = "0"});
    field("competition-balance", self.competition_balance,
          OptionInfo{.help = "coefficient of the balance of affinities; negative: the policy's own", .off = "0"});
  }
};

}  // namespace clearway::deep
