// The columns that `clearway predict --interval` and `--effects` add: how sure the predictions are.
//
//   confidence, band   NAME_se, NAME_low, NAME_high for mean, gate_1 .. gate_k and mean_1 .. mean_k
//   prediction         prediction_low, prediction_high
//   hdr                hdr_1_low, hdr_1_high, hdr_2_low, ...: as many pieces as the row with the most has
//   --effects x        effect_x, and with confidence or band effect_x_se, effect_x_low, effect_x_high
#pragma once

#include <string>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/stat/prediction_interval.hpp"
#include "model_json.hpp"

namespace clearway::cli {

enum class IntervalKind { none, confidence, band, prediction, hdr };
inline std::span<const EnumName<IntervalKind>> enum_names(IntervalKind) {
  static constexpr std::array<EnumName<IntervalKind>, 5> names{{
      {IntervalKind::none, "none", "no intervals"},
      {IntervalKind::confidence, "confidence", "of means, gate weights and means of experts, row by row"},
      {IntervalKind::band, "band", "the same, holding for all rows of the table at once"},
      {IntervalKind::prediction, "prediction", "of a new response: quantiles of the mixture"},
      {IntervalKind::hdr, "hdr", "of a new response: the smallest region, possibly in several pieces"},
  }};
  return names;
}

struct IntervalOptions {
  IntervalKind interval = IntervalKind::none;
  double level = 0.95;
  std::vector<std::string> effects;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("interval", self.interval, OptionInfo{.help = "what kind of interval to add", .off = "none"});
    field("level", self.level,
          OptionInfo{.help = "coverage of the intervals, below 1", .minimum = 0.01, .maximum = 0.9999});
    field("effects", self.effects,
          OptionInfo{.help = "numeric columns whose marginal effects dE[y|x]/dx are added", .metavar = "COLUMN"});
  }
};

/// One number per row that the model has seen.
struct NumberColumn {
  std::string name;
  Vector values;
};

/// What intervals are made of.
struct IntervalInputs {
  const SavedModel& saved;
  const Design& design;  ///< of apply_recipe(table)
  const Table& table;    ///< as it was read, where effects are asked for
  MissingPolicy missing = MissingPolicy::error;
  std::uint64_t seed = 1;
  int threads = 1;
};

/// The columns, in the order above. Throws std::invalid_argument where the model has no standard errors, saying why.
std::vector<NumberColumn> interval_columns(const IntervalInputs& inputs, const IntervalOptions& options);

}  // namespace clearway::cli
