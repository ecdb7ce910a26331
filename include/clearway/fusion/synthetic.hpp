// A benchmark in which routing by modality must matter, written as ordinary files.
//
// Four modalities: context (static), rhythm (irregular series), scan (vector) and notes (text). The last three each hold a
// number s with mean 0 and variance 1: the mean of the series' feature "level", the vector along a fixed direction, and the
// surplus of good over bad words. The context names one of six regimes, each as frequent as the others, and a regime says
// which of the three carries the signal and with which sign:
//     P(y = 1) = 1 / (1 + exp(-gain x sign x s_carrier)).
// No sum of functions of one modality each can do better than a constant: over regimes the signs cancel, and within a
// regime s is symmetric. Whoever sees the context and its carrier can do what the formula says, and no more.
//
// Absent modalities: at random (each of the three with probability `missing`), or by their own value (probability
// 2 missing / (1 + exp(-2 s)), of the same mean), so that absence tells something.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway::fusion {

struct SyntheticOptions {
  std::int64_t samples = 2000;
  double missing = 0;
  bool by_value = false;
  double gain = 3;
  std::int64_t seed = 1;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("samples", self.samples, OptionInfo{.help = "samples to draw", .minimum = 12, .maximum = 1e8});
    field("missing", self.missing,
          OptionInfo{.help = "chance that a modality other than the context is absent", .minimum = 0, .maximum = 0.5});
    field("by-value", self.by_value,
          OptionInfo{.help = "whether modalities of large values are absent more often (not at random)"});
    field("gain", self.gain, OptionInfo{.help = "strength of the signal", .minimum = 0});
    field("seed", self.seed, OptionInfo{.help = "seed of all random numbers", .minimum = 0});
  }
};

/// What truth.csv holds, one entry per sample.
struct SyntheticTruth {
  std::vector<int> labels;
  std::vector<int> regimes;         ///< 0 .. 5: carrier rhythm, scan, notes with sign +, then with sign -
  std::vector<double> signals;      ///< n x 3: s of rhythm, scan, notes
  std::vector<int> present;         ///< n x 3
  std::vector<double> probability;  ///< of y = 1 for who knows everything
  std::vector<double> visible;      ///< of y = 1 for who knows what is there: the best that any model can say
  double auroc_probability = 0;     ///< of `probability` on these labels
  double auroc_visible = 0;         ///< of `visible` on these labels
};

/// Writes context.csv, rhythm.csv, scan.csv, notes.csv, labels.csv, truth.csv and spec.json to a folder, which is made
/// where it is not there. The files depend on the options only.
SyntheticTruth write_synthetic(const std::string& folder, const SyntheticOptions& options = {});

}  // namespace clearway::fusion
