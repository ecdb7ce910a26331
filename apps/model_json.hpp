// The model file: a fitted mixture of experts and the recipe that turns tables into its inputs, as versioned JSON.
//
//   {"format": "clearway-model", "version": 1,
//    "design":  {"target": [...], "classes": [...], "experts_on": [[factor, ...], ...], "gate_on": [...], ...},
//    "gate":    {"kind": "softmax", ..., "parameters": [[block of expert 1], ...], "input_scale": [...]},
//    "experts": [{"kind": "linear", ..., "parameters": [...]}, ...],
//    "noise":   null or {"weight": ..., "log_density": ...},
//    "inference": {"standard_errors": "observed", "notes": [...], "covariance": [lower triangle by rows]}}
//
// The covariance is that of model_parameters() (clearway/stat/inference.hpp): gate, experts, logit of the noise weight.
// "inference" is absent where no standard errors were made.
//
// The layout of parameters is that of clearway/stat/gate.hpp and clearway/stat/expert.hpp. Numbers come back bit for
// bit. The format is a promise: version 1 will be read by every later Clearway.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/io/json.hpp"
#include "clearway/stat/design.hpp"
#include "clearway/stat/inference.hpp"

namespace clearway {

/// What predictions need to know of the uncertainty of a fit.
struct SavedInference {
  StandardErrorKind kind = StandardErrorKind::observed;
  Matrix covariance;               ///< of model_parameters(model); empty where nothing is valid
  std::vector<std::string> notes;  ///< what is not valid and conditions, a sentence each
};
/// Nothing where no standard errors were made.
std::optional<SavedInference> saved_inference(const Inference& inference);

struct SavedModel {
  MixtureModel model;
  DesignRecipe recipe;
  std::optional<SavedInference> inference = {};
};

/// Throws std::invalid_argument when the model does not fit the recipe or holds a number that is not finite.
Json model_to_json(const MixtureModel& model, const DesignRecipe& recipe,
                   const std::optional<SavedInference>& inference = {});

/// The inverse. Throws std::invalid_argument beginning with `source` and naming the key for anything that is missing,
/// unknown, of the wrong type or length, or outside of its range.
SavedModel model_from_json(const Json& document, const std::string& source);

}  // namespace clearway
