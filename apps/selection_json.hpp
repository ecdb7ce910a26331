// The result of a selection as the JSON object that `clearway select --json` prints. docs/selection.md gives the schema.
#pragma once

#include "clearway/io/json.hpp"
#include "clearway/stat/penalised.hpp"
#include "clearway/stat/selection.hpp"
#include "clearway/stat/stepwise.hpp"
#include "summary_json.hpp"

namespace clearway::cli {

/// Candidates with their criteria, the choice of every criterion, the recommendation and its reasons, the dendrogram.
Json selection_json(const SelectionResult& result);

/// One path of penalties: every strength with what is left and its criteria.
Json penalised_json(const PenalisedPath& path);

/// The steps of one stepwise choice.
Json stepwise_json(const StepwiseResult& result);

}  // namespace clearway::cli
