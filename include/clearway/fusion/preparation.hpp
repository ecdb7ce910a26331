// From raw samples to what models read: transforms and scales learned from the training samples, applied to any.
//
// A number x of a feature becomes (g(min(max(x, low), high)) - mean) / sd with low and high the quantiles at w and 1 - w
// (linear between order statistics) of the training observations, g the transform, and mean and sd those of the
// transformed training observations (sd with divisor n; 1 where it would be 0). A category becomes one column of 0 and 1
// per level of the training samples, and one for all other levels. A text becomes counts of hashed n-grams (FNV-1a, 64
// bits), each (1 + log count) x (1 + log((1 + n) / (1 + d))) where d of the n training texts hold it, of length 1 together.
//
// Series: on a grid, a cell holds the mean of its transformed observations, at the time of its centre; an observation at
// the horizon belongs to the last cell. Without one, the places are its own times. The summary of a feature holds mean,
// maximum, minimum, last, last - first, log(1 + count) of its transformed observations, each standardised over the
// training samples that have any, then 1 for "observed"; all seven are 0 where nothing was observed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clearway/fusion/prepared.hpp"
#include "clearway/fusion/raw_data.hpp"

namespace clearway::fusion {

/// How one feature is treated. Categories have levels and no numbers.
struct FeaturePreparation {
  std::string name;
  bool category = false;
  Transform transform = Transform::none;
  double low = 0, high = 0;  ///< bounds of winsorised values; infinite when none are
  double mean = 0, sd = 1;
  std::vector<std::string> levels;  ///< of the training samples, sorted
};

struct ModalityPreparation {
  ModalitySpec spec;
  std::int64_t grid = 0;
  bool learned = true;  ///< some training sample had it; a model knows nothing of a modality that none had
  std::vector<FeaturePreparation> features;
  std::vector<double> summary_mean, summary_sd;    ///< 6 per prepared column: all but "observed"
  std::vector<double> inverse_document_frequency;  ///< texts: one per bucket
};

class Preparation {
 public:
  /// Learns from the samples `train` (row numbers). Throws std::invalid_argument for a transform that is not defined for a
  /// value, naming it.
  static Preparation fit(const FusionSpec& spec, const RawData& raw, std::span<const std::int64_t> train);

  /// A modality that no training sample had is absent from every sample: what a model has for it is as it was drawn.
  /// Throws std::invalid_argument when modalities or columns are other ones, or a class was never seen.
  PreparedData apply(const RawData& raw) const;

  const std::vector<ModalityPreparation>& modalities() const { return modalities_; }
  /// Names of the modalities that no training sample had and that samples of `raw` have.
  std::vector<std::string> not_learned(const RawData& raw) const;
  /// What apply() gives, without data: the shapes a model is built for.
  std::vector<ModalityShape> shapes() const;
  const PreparedTarget& target() const { return target_; }  ///< names, classes, centre and scale; no values

  /// Comes back bit for bit.
  Json to_json() const;
  static Preparation from_json(const Json& json, const std::string& where);

 private:
  PreparedModality prepare(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples) const;
  void prepare_target(const RawTarget& raw, PreparedTarget& target) const;

  std::vector<ModalityPreparation> modalities_;
  PreparedTarget target_;
};

/// Names of the columns of a modality: features, or one per level of a category, or buckets of texts.
std::vector<std::string> column_names(const ModalityPreparation& preparation);

/// Training, validation and test samples as the spec's section "split" says, with another seed. A group is never on two
/// sides, and the sides do not depend on the order of samples. Shares are met as nearly as whole groups allow, counted in
/// samples. Throws std::invalid_argument when a side that has a share stays empty.
FusionSplit split_samples(const FusionSpec& spec, const RawData& raw, std::uint64_t seed);
FusionSplit split_samples(const FusionSpec& spec, const RawData& raw);

}  // namespace clearway::fusion
