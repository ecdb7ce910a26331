// Routers compared on equal terms: paired by seed, with intervals, and with what tells a collapse.
//
// Differences to the first router are taken per seed, from the same initial weights of everything but the router and on
// the same batches; their interval is Student's over seeds. A difference whose interval holds 0 is within the noise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/io/json.hpp"
#include "clearway/train/routing_diagnostics.hpp"

namespace clearway::train {

/// One finished training run.
struct CollapseRun {
  std::string router;
  std::int64_t seed = 0;
  std::int64_t steps = 0;
  double bits = 0;                   ///< per token on the test text, deployed with the router
  double bits_by_competition = 0;    ///< the same when responses decide
  double evaluations_per_token = 0;  ///< expert evaluations per token and sparse layer while training
  double seconds = 0;                ///< CPU time of training
  std::vector<LayerDiagnostics> layers;
};
Json collapse_run_json(const CollapseRun& run);
CollapseRun collapse_run_from_json(const Json& json, const std::string& source);

/// Steps of a router whose step costs `cost`, so that all of them come nearest to `steps` of `reference` each (expert
/// evaluations, or seconds); at least 1. Throws std::runtime_error for costs that are not above 0: nothing was measured.
std::int64_t steps_of_equal_cost(std::int64_t steps, double reference, double cost);

/// Mean, spread and paired difference of one router.
struct CollapseRow {
  std::string router;
  int runs = 0;
  double bits = 0, deviation = 0;            ///< mean and standard deviation over seeds
  double difference = 0, low = 0, high = 0;  ///< to the first router, with its 95 % interval
  bool within_noise = true;                  ///< interval holds 0, or there are too few pairs to tell
  double bits_by_competition = 0;
  double steps = 0, evaluations_per_token = 0, seconds = 0;
  LayerDiagnostics layer;  ///< mean over layers and seeds; dead experts: the sum over layers
};

/// In the order of `routers`; those without runs are left out.
std::vector<CollapseRow> collapse_table(const std::vector<CollapseRun>& runs, const std::vector<std::string>& routers);
std::string collapse_text(const std::vector<CollapseRow>& rows);
std::string collapse_markdown(const std::vector<CollapseRow>& rows);
Json collapse_json(const std::vector<CollapseRow>& rows);

}  // namespace clearway::train
