// Fixed and shared parameters by name: what users write becomes Constraints of a model.
//
//   x1=0               the coefficient of x1 is 0 in every expert
//   expert2:x1=0       in expert 2 only (experts then keep the numbers that the user gave them)
//   gate:x2=0          x2 plays no part in the gate
//   gate1:x2=0.5       relative to the last expert
//   g=0                every level of the category g; ns(x,4)=0 every column of the basis
//   sigma=1            also nu, shape: positive parameters by their value, not its logarithm
#pragma once

#include <string>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

/// Which parameters are not estimated freely, in words.
struct ConstraintChoice {
  std::vector<std::string> fix = {};
  std::vector<std::string> share = {};

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("fix", self.fix,
          OptionInfo{.help = "parameters that keep a value: x1=0, expert2:x1=0, gate:x2=0, sigma=1",
                     .metavar = "NAME=X"});
    field("share", self.share,
          OptionInfo{.help = "expert parameters that all experts have in common: x1, (intercept)", .metavar = "NAME"});
  }
};

/// Finds the named parameters in a gate and an expert of the model to be fitted. Names of inputs and responses are those
/// of the design. Throws std::invalid_argument that lists the known names.
Constraints find_constraints(const ConstraintChoice& choice, const Gate& gate, const Expert& expert,
                             const std::vector<std::string>& gate_inputs, const std::vector<std::string>& expert_inputs,
                             const std::vector<std::string>& responses);

}  // namespace clearway
