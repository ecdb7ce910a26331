// Predictions of a fusion run, one line per sample, and why a sample got its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/fusion/prepared.hpp"
#include "clearway/io/json.hpp"
#include "clearway/train/fusion_ensemble.hpp"

namespace clearway::cli {

/// Columns: id, outcome where known; binary: probability; multi-class: class and p_<class>; multi-label: p_<label>;
/// regression: mean and sd per column with low and high; then disagreement, set, abstain, modalities.
Table predictions_table(const train::FusionEnsemble& ensemble, const train::FusionTensors& tensors,
                        const fusion::PreparedData& data, const std::vector<std::int64_t>& rows);

/// For each row: the prediction, which modalities are there, which experts answered for each of them (first member), and what
/// the prediction would be without each modality.
Json explain_predictions(const train::FusionEnsemble& ensemble, const train::FusionTensors& tensors,
                         const fusion::PreparedData& data, const std::vector<std::int64_t>& rows);
std::string explanations_text(const Json& explanations);

}  // namespace clearway::cli
