// The result of a fit as the one JSON object that `clearway fit --json` prints and summary.json keeps.
// docs/cli.md gives the schema.
#pragma once

#include "clearway/io/json.hpp"
#include "clearway/stat/profile.hpp"
#include "clearway/stat/wald.hpp"

namespace clearway::cli {

/// NaN becomes an explicit null. `counts` comes from allocation(result.model, data).
Json summary_json(const FitResult& result, const ModelNames& names, const Allocation& counts);

/// The table of an inference, its diagnoses and conditions; withheld numbers are null with the reason beside them.
Json inference_json(const Inference& inference);

/// Profile-likelihood intervals; an infinite end is null.
Json profile_json(const std::vector<ProfileInterval>& intervals);

/// Wald tests; without a test the reason in not_valid.
Json wald_json(const std::vector<WaldTest>& tests);

/// One object per iteration of the polished runs, for history.jsonl.
std::string history_lines(const FitResult& result);

}  // namespace clearway::cli
