// Samples as they stand in files, before any statistics: observations with times, ids, groups, outcomes.
//
// What is done already: markers of missing values and values outside their range are gone, times are shares of the
// horizon since the index time, and what was observed before 0 or after 1 is left out. Everything that is left out is
// counted. The order of rows in the files of a modality does not matter; samples stand as in the target's source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "clearway/fusion/modality.hpp"
#include "clearway/fusion/spec.hpp"

namespace clearway::fusion {

struct RawModality {
  std::string name;
  ModalityKind kind = ModalityKind::fixed;
  std::vector<std::string> features;             ///< F
  std::vector<std::vector<std::string>> levels;  ///< F: names of the values 0, 1, ... of a category, sorted; else empty
  /// Rows of sample i: offsets[i] .. offsets[i + 1]; at most one for vectors and texts. Rows of a series are sorted by
  /// time. A feature that was observed several times at one time has that many rows of that time, smallest value first.
  std::vector<std::int64_t> offsets;
  std::vector<double> times;       ///< rows, in [0, 1]; empty for vectors and texts
  std::vector<double> values;      ///< rows x F, NaN where not observed; empty for texts
  std::vector<std::string> texts;  ///< rows, for texts
};

struct RawTarget {
  TargetKind kind = TargetKind::binary;
  std::vector<std::string> names;  ///< columns
  std::vector<std::string>
      classes;                 ///< binary, multi-class: names of the values 0, 1, ...; binary: the positive is last
  std::vector<double> values;  ///< n x columns, NaN for unknown
};

/// What was read and what was left out, and why.
struct SourceReport {
  std::string name;
  std::size_t files = 0, rows = 0;
  std::size_t rows_without_parameter = 0, rows_of_other_samples = 0, rows_of_other_parameters = 0;
  std::size_t parameters = 0;                  ///< long: different names, used or not
  std::vector<std::string> absent_parameters;  ///< long: named by a modality, in no row
  std::vector<std::string> absent_hints;       ///< for each of them: did_you_mean() among those that no modality names
};
struct ModalityReport {
  std::string name;
  std::size_t observations = 0;  ///< values kept
  std::size_t missing = 0, outside_range = 0, before_index = 0, after_horizon = 0;
};
struct ReadReport {
  std::vector<SourceReport> sources;
  std::vector<ModalityReport> modalities;
  std::size_t samples_without_outcome = 0;
  /// One line for each thing that a user should know.
  std::vector<std::string> notes() const;
  /// One line for each source in which parameters are absent: a renamed one looks like that.
  std::vector<std::string> warnings() const;
};

struct RawData {
  std::vector<std::string> ids;     ///< n
  std::vector<std::string> groups;  ///< n, what a split keeps together
  std::vector<std::string> parts;   ///< n, values of the split's column; empty without one
  std::vector<RawModality> modalities;
  RawTarget target;  ///< without values when there is no target
  ReadReport report;
  std::int64_t samples() const { return static_cast<std::int64_t>(ids.size()); }
};

struct ReadOptions {
  int threads = 0;
  /// For data to predict: samples without outcome stay (with NaN), and a parameter that never occurs is no error.
  bool prediction = false;
  std::function<void(double)> progress;  ///< share of files read; called from one thread at a time
};

/// Reads all samples. Without target, samples are the ids of the sources in order of appearance.
/// std::invalid_argument names file, line and column of whatever is wrong.
RawData read_samples(const FusionSpec& spec, const ReadOptions& options = {});

/// A time as a number in its unit (hours for hh:mm and ISO 8601, the latter since 1970-01-01 UTC); false when it is none.
bool read_time(std::string_view cell, TimeUnit unit, double& value);

}  // namespace clearway::fusion
