// The estimates of a model as one list of numbers on natural scales ("sigma", not "log(sigma)"), each with its place and
// name: what standard errors, bootstrap replications and tests are about.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/summary.hpp"

namespace clearway {

/// Where a number of a model belongs, in words of the summary: part "expert 1", "gate 1" or "noise", name "x1".
struct ValueName {
  std::string part;
  std::string name;
  bool operator==(const ValueName&) const = default;
};

/// The names of model_values(), in its order: experts one after the other (coefficients, then noise), the gate's blocks
/// without pinned parameters, the weight of the noise component.
std::vector<ValueName> model_value_names(const MixtureModel& model, const ModelNames& names);

/// The numbers themselves, as expert_report() and gate_report() give them.
Vector model_values(const MixtureModel& model);

/// Which of them keep their value by a constraint (--fix), one per number.
std::vector<bool> fixed_values(const MixtureModel& model);

}  // namespace clearway
