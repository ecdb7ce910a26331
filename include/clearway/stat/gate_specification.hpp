// What a user may ask of a gate: its kind and its fixed (not estimated) settings, with their options.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway {

/// How the gate turns inputs into weights. Formulas: clearway/core/gates/.
enum class GateKind {
  softmax,
  constant,
  equal,
  sigmoid,
  laplace,
  gaussian,
  quadratic,
  fixed,
  activated,
  cosine,
  hierarchical,
  unnormalised_sigmoid
};

inline std::span<const EnumName<GateKind>> enum_names(GateKind) {
  static constexpr std::array<EnumName<GateKind>, 12> names{{
      {GateKind::softmax, "softmax", "log-weight linear in the inputs"},
      {GateKind::constant, "constant", "weights that do not depend on the inputs"},
      {GateKind::equal, "equal", "all weights 1/k, nothing estimated"},
      {GateKind::sigmoid, "sigmoid", "independent sigmoids, normalised to sum to 1"},
      {GateKind::laplace, "laplace", "log-weight = -distance to a centre"},
      {GateKind::gaussian, "gaussian", "weights of a Gaussian mixture over the inputs"},
      {GateKind::quadratic, "quadratic", "log-weight quadratic in the inputs"},
      {GateKind::fixed, "fixed", "the weights of --gate-weights, nothing estimated"},
      {GateKind::activated, "activated", "log-weight = bounded function of a linear score"},
      {GateKind::cosine, "cosine", "log-weight = cosine between input and a direction"},
      {GateKind::hierarchical, "hierarchical", "a gate over groups of experts, one within each group"},
      {GateKind::unnormalised_sigmoid, "unnormalised-sigmoid", "independent sigmoids as they are: least squares only"},
  }};
  return names;
}

/// Whether a gate of this kind reads the inputs at all.
constexpr bool gate_reads_inputs(GateKind kind) {
  return kind != GateKind::constant && kind != GateKind::equal && kind != GateKind::fixed;
}

/// Shape of the quadratic form of a quadratic gate.
enum class QuadraticShape { full, diagonal, low_rank };

inline std::span<const EnumName<QuadraticShape>> enum_names(QuadraticShape) {
  static constexpr std::array<EnumName<QuadraticShape>, 3> names{{
      {QuadraticShape::full, "full", "every product of two inputs"},
      {QuadraticShape::diagonal, "diagonal", "squares only"},
      {QuadraticShape::low_rank, "low-rank", "sum of rank-one products"},
  }};
  return names;
}

/// By what a top-k gate selects.
enum class TopKRule { score, slopes };

inline std::span<const EnumName<TopKRule>> enum_names(TopKRule) {
  static constexpr std::array<EnumName<TopKRule>, 2> names{{
      {TopKRule::score, "score", "the largest scores"},
      {TopKRule::slopes, "slopes", "the largest scores without their intercepts, which then only weigh"},
  }};
  return names;
}

/// What one level of a hierarchical gate is.
enum class LevelKind { softmax, laplace };

inline std::span<const EnumName<LevelKind>> enum_names(LevelKind) {
  static constexpr std::array<EnumName<LevelKind>, 2> names{{
      {LevelKind::softmax, "softmax", "log-weight linear in the inputs"},
      {LevelKind::laplace, "laplace", "log-weight = -distance to a centre"},
  }};
  return names;
}

/// The function M of modified inputs: the gate sees M(z), coordinate by coordinate, instead of its inputs z.
enum class GateTransform { none, tanh, sigmoid };

inline std::span<const EnumName<GateTransform>> enum_names(GateTransform) {
  static constexpr std::array<EnumName<GateTransform>, 3> names{{
      {GateTransform::none, "none", "the inputs as they are"},
      {GateTransform::tanh, "tanh", "tanh of every input"},
      {GateTransform::sigmoid, "sigmoid", "1 / (1 + exp(-input)) of every input"},
  }};
  return names;
}

/// Units of the inputs where the family of weights depends on them.
enum class GateUnits { standardised, raw };

inline std::span<const EnumName<GateUnits>> enum_names(GateUnits) {
  static constexpr std::array<EnumName<GateUnits>, 2> names{{
      {GateUnits::standardised, "standardised", "mean 0 and standard deviation 1 on the data"},
      {GateUnits::raw, "raw", "as in the table"},
  }};
  return names;
}

/// The bounded function of an activated gate.
enum class GateActivation { tanh, sigmoid };

inline std::span<const EnumName<GateActivation>> enum_names(GateActivation) {
  static constexpr std::array<EnumName<GateActivation>, 2> names{{
      {GateActivation::tanh, "tanh", "between -1 and 1"},
      {GateActivation::sigmoid, "sigmoid", "between 0 and 1"},
  }};
  return names;
}

/// A gate as asked for. docs/gates.md says what each kind is for and where it comes from.
struct GateSpec {
  GateKind kind = GateKind::softmax;
  double temperature = 1.0;  ///< scores are divided by it; fixed, because it is not identifiable beside linear scores
  QuadraticShape shape = QuadraticShape::full;
  int rank = 1;             ///< rank of the low-rank quadratic form
  bool linear_term = true;  ///< quadratic gate: false leaves out the linear part (the "monomial" gate)
  int top_k = 0;            ///< weights of the K best experts only; 0: all (dense)
  TopKRule top_k_rule = TopKRule::score;
  int groups = 2;  ///< hierarchical: groups of experts, as equal in size as they can be
  LevelKind outer = LevelKind::softmax;
  LevelKind inner = LevelKind::softmax;
  GateTransform transform = GateTransform::none;
  GateUnits units = GateUnits::standardised;
  GateActivation activation = GateActivation::tanh;
  bool estimate_temperature = true;  ///< activated gate and plain cosine gate: the temperature starts at `temperature`
  double perturbation = 0.0;         ///< cosine: added to both norms
  std::vector<double> weights = {};  ///< fixed: one positive number per expert, divided by their sum

  bool operator==(const GateSpec&) const = default;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("gate", self.kind, OptionInfo{.help = "how inputs become weights"});
    field("gate-temperature", self.temperature,
          OptionInfo{.help = "divides the scores of the gate; fixed, unless --estimate-temperature applies",
                     .minimum = 0,
                     .above_minimum = true,
                     .off = "1",
                     .source = "Nguyen et al., ICML 2024, arXiv 2401.13875"});
    field("estimate-temperature", self.estimate_temperature,
          OptionInfo{.help = "activated and plain cosine gates: estimate the temperature (others cannot)"});
    field("top-k", self.top_k,
          OptionInfo{.help = "only the K best experts of a row have weight; the likelihood then has jumps",
                     .minimum = 0,
                     .off = "0",
                     .source = "Nguyen et al., ICLR 2024, arXiv 2309.13850"});
    field("top-k-rule", self.top_k_rule, OptionInfo{.help = "by what the best are selected"});
    field("quadratic-shape", self.shape,
          OptionInfo{.help = "form of the quadratic gate", .source = "arXiv 2410.11222"});
    field("quadratic-rank", self.rank, OptionInfo{.help = "rank of the low-rank quadratic gate", .minimum = 1});
    field("quadratic-linear-term", self.linear_term,
          OptionInfo{.help = "quadratic gate with a linear part (false: the monomial gate)"});
    field("groups", self.groups,
          OptionInfo{.help = "hierarchical gate: groups of experts", .minimum = 1, .source = "arXiv 2410.02935"});
    field("outer-gate", self.outer, OptionInfo{.help = "hierarchical gate: how a group is chosen"});
    field("inner-gate", self.inner, OptionInfo{.help = "hierarchical gate: how an expert of the group is chosen"});
    field("gate-transform", self.transform,
          OptionInfo{.help = "bounded function of every input of the gate (modified gate)",
                     .off = "none",
                     .source = "Nguyen et al., ICML 2024, arXiv 2310.14188"});
    field("gate-units", self.units,
          OptionInfo{.help = "units in which laplace, cosine, activated and transformed gates see the inputs"});
    field("gate-activation", self.activation, OptionInfo{.help = "bounded function of the activated gate"});
    field("cosine-perturbation", self.perturbation,
          OptionInfo{.help = "added to the norms of the cosine gate, so that the length of a direction counts",
                     .minimum = 0,
                     .off = "0",
                     .source = "Nguyen et al., arXiv 2405.14131"});
    field("gate-weights", self.weights,
          OptionInfo{.help = "weights of the experts of a fixed gate", .minimum = 0, .above_minimum = true});
  }
};

}  // namespace clearway
