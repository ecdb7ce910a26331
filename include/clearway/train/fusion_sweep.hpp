// Many fusion models side by side: every combination of some options, on the same re-splits of the samples, tested with more
// and more modalities taken away.
//
// Differences to the first variant are paired by split. Test sets of random re-splits overlap, so the plain standard error
// is too small; ours is sqrt((1/J + n_test/n_train) s^2) with Student's distribution on J - 1 degrees of freedom (Nadeau and
// Bengio 2003, "Inference for the generalization error"). No torch in this header.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "clearway/fusion/modality.hpp"
#include "clearway/io/json.hpp"

namespace clearway::train {

/// One combination: its name ("router=joint gate=softmax") and its settings, in the order given.
struct FusionVariant {
  std::string name;
  std::vector<std::pair<std::string, std::string>> settings;
};

/// All combinations of lists like {"gate=softmax", "laplace", "router=joint"}: a word without = is one more value of the name
/// before it. Throws std::invalid_argument for a list that begins without a name, an empty value or a name given twice.
std::vector<FusionVariant> fusion_variants(const std::vector<std::string>& vary);

/// Sets the options of a struct with visit() that a variant names; `used` gets the names that were found.
template <class Options>
void apply_variant(const FusionVariant& variant, Options& options, std::vector<std::string>& used) {
  Json object = Json::object();
  Options::visit(options, [&]<class T>(std::string_view name, const T&, const OptionInfo&) {
    for (const auto& [key, value] : variant.settings) {
      if (key != name) continue;
      used.push_back(key);
      if constexpr (std::is_enum_v<T> || std::is_same_v<T, std::string>)
        object[snake_case(name)] = value;
      else
        object[snake_case(name)] = parse_json(value, "vary: " + key);
    }
  });
  options_from_json(object, options, "vary");
}

/// Rates of "first:last:step", "first:last" (step 0.2) or one number. Throws for what is no such list within [0, 1).
std::vector<double> missing_rates(const std::string& text);

/// Scores of one variant on one split at one rate of missing modalities.
using NamedScores = std::vector<std::pair<std::string, double>>;
struct FusionSweepRun {
  std::string variant;
  std::int64_t split = 0;
  double test_share = 0;  ///< samples tested on over samples trained on
  std::int64_t parameters = 0;
  std::int64_t epochs = 0;
  double seconds = 0;  ///< CPU time of training
  std::vector<std::pair<double, NamedScores>> rates;
};
Json fusion_run_json(const FusionSweepRun& run);
FusionSweepRun fusion_run_from_json(const Json& json, const std::string& source);

/// Mean over splits with its standard deviation, and the paired difference to the first variant.
struct FusionSweepCell {
  std::string score;
  double missing = 0;
  int runs = 0;
  double mean = 0, deviation = 0;
  int pairs = 0;  ///< splits that both variants have
  double difference = 0, low = 0, high = 0;
  bool within_noise = true;  ///< the 95 % interval holds 0, or there are too few pairs to tell
};
struct FusionSweepRow {
  std::string variant;
  double parameters = 0, epochs = 0, seconds = 0;
  std::vector<FusionSweepCell> cells;  ///< by rate, then by score
  const FusionSweepCell* find(std::string_view score, double missing) const;
};

/// In the order of `variants`; those without runs are left out.
std::vector<FusionSweepRow> fusion_sweep_table(const std::vector<FusionSweepRun>& runs,
                                               const std::vector<FusionVariant>& variants);
std::string fusion_sweep_text(const std::vector<FusionSweepRow>& rows, fusion::TargetKind kind);
std::string fusion_sweep_markdown(const std::vector<FusionSweepRow>& rows, fusion::TargetKind kind);
Json fusion_sweep_json(const std::vector<FusionSweepRow>& rows);

}  // namespace clearway::train
