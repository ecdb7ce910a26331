// Samples as arrays of numbers, transformed and scaled by statistics of the training samples: what models read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/fusion/modality.hpp"

namespace clearway::fusion {

/// One modality of n samples. Rows are samples, last axis fastest.
struct PreparedModality {
  ModalityShape shape;
  std::vector<std::string> features;       ///< F names (one per category for categories)
  std::vector<std::string> summary_names;  ///< S names
  std::int64_t steps = 0;                  ///< L, places in time of a series; 0 for vectors
  std::vector<float> values;               ///< n x L x F (vectors: n x F), 0 where not observed
  std::vector<std::uint8_t> mask;          ///< the same shape, 1 where observed
  /// L, for all samples, when the series was put on a grid; else n x L, padding being at places without any mask.
  std::vector<float> times;
  bool shared_times = false;
  std::vector<float> summary;  ///< n x S: per feature mean, max, min, last, last - first, log(1 + count), observed
  std::vector<std::uint8_t> present;  ///< n, 1 where anything of the modality is there
};

/// What is to be predicted, as numbers.
struct PreparedTarget {
  TargetKind kind = TargetKind::binary;
  std::vector<std::string> names;    ///< outputs: 1 name (binary), classes, labels or columns
  std::vector<std::string> classes;  ///< binary and multi-class: names of the values 0, 1, ...
  /// n (binary, multi-class: the class) or n x outputs (multi-label: 0, 1 or NaN for unknown; regression, standardised).
  std::vector<float> values;
  std::vector<double> centre, scale;  ///< regression: y = centre + scale x value, one per output
  /// Outputs of a model: 1 for binary, else classes, labels, columns.
  std::int64_t outputs() const;
};

struct PreparedData {
  std::vector<std::string> ids;     ///< n
  std::vector<std::string> groups;  ///< n, what the split keeps together (subjects); equal to ids where none was named
  std::vector<PreparedModality> modalities;
  PreparedTarget target;  ///< without values when there are no labels (prediction)
  std::int64_t samples() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Row numbers of PreparedData.
struct FusionSplit {
  std::vector<std::int64_t> train, valid, test;
};

}  // namespace clearway::fusion
