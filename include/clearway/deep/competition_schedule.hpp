// When the experts of which layer compete: drawn once before training (arXiv 2505.13380; the table of its code).
//
// For every layer and every step after the warm-up one Bernoulli draw; a step in which too many layers would compete
// keeps a random choice of them, and the others move to the nearest step with room, in random order. Events are moved,
// never dropped, unless no step has room for the layer. The stream is its own: the same seed gives the same table
// whatever training draws.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace clearway::deep {

struct CompetitionScheduleOptions {
  std::int64_t layers = 1;
  std::int64_t steps = 0;
  double rate = 0.07;             ///< chance per layer and step
  double warmup = 0.05;           ///< share of the steps before the first event
  std::int64_t most_layers = 3;   ///< layers that compete in one step
  std::uint64_t seed = 20250519;  ///< of the table's own stream
};

/// layers x steps, uint8: 1 where the layer competes. Throws std::invalid_argument for rates outside [0, 1].
torch::Tensor competition_schedule(const CompetitionScheduleOptions& options);

}  // namespace clearway::deep
