// What is measured of a fusion run, as JSON and as text: scores with intervals, calibration, coverage, groups by what is there,
// what each modality is worth, and expert usage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/io/json.hpp"
#include "clearway/train/fusion_ensemble.hpp"

namespace clearway::cli {

struct FuseMeasureOptions {
  std::int64_t replicates = 1000;  ///< 0: no intervals
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Samples of a run that are measured together.
struct FuseMeasured {
  const train::FusionEnsemble& ensemble;
  const train::FusionTensors& samples;
  std::vector<std::int64_t> rows;          ///< with a known outcome
  const std::vector<std::string>& groups;  ///< of all samples: what a bootstrap draws whole
};

/// Rows whose outcome is known at all.
std::vector<std::int64_t> rows_with_outcome(const train::FusionTensors& samples, std::vector<std::int64_t> rows);

Json measure_fused(const FuseMeasured& measured, const FuseMeasureOptions& options);
std::string fused_text(const Json& measures);

/// Differences of all scores to another run on the same samples, in the same order: first minus second.
Json compare_fused(const FuseMeasured& first, const FuseMeasured& second, const FuseMeasureOptions& options);
std::string fused_differences_text(const Json& differences);

}  // namespace clearway::cli
