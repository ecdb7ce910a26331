// Stepwise choice of inputs: terms of the experts and of the gate are added and taken away one at a time, each step the one
// that lowers BIC most, until none does (as step() of R does for one regression).
//
// A term is what the user wrote: a category goes or stays with all its levels. Every trial starts from the present
// solution, new slopes at zero, and from a few starts of its own; the final model is fitted again with all starts.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/design.hpp"
#include "clearway/stat/fit.hpp"

namespace clearway {

enum class Stepwise { none, forward, backward, both };
inline std::span<const EnumName<Stepwise>> enum_names(Stepwise) {
  static constexpr std::array<EnumName<Stepwise>, 4> names{{
      {Stepwise::none, "none", "all terms as given"},
      {Stepwise::forward, "forward", "from no terms, adding"},
      {Stepwise::backward, "backward", "from all terms, taking away"},
      {Stepwise::both, "both", "from all terms, taking away and adding back"},
  }};
  return names;
}

struct StepwiseOptions {
  Stepwise direction = Stepwise::none;
  int trial_starts = 3;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("stepwise", self.direction,
          OptionInfo{.help = "choose terms of experts and gate one at a time by BIC", .off = "none"});
    field("trial-starts", self.trial_starts,
          OptionInfo{.help = "starts of each trial of --stepwise, beside the present solution", .minimum = 1});
  }
};

/// One step that was taken.
struct StepwiseStep {
  std::string what;  ///< "- x2 in the experts", "+ z in the gate", "start"
  double bic = 0;
  int degrees_of_freedom = 0;
};

struct StepwiseResult {
  FitResult fit;
  Design design;  ///< the data and the recipe of the terms that are left
  std::vector<StepwiseStep> steps;
  int fits = 0;  ///< fits made
};

/// The design with some of its terms only: `experts` and `gate` say which of recipe.expert_terms and recipe.gate_terms stay.
Design with_terms(const Design& design, const std::vector<bool>& experts, const std::vector<bool>& gate);

/// Throws std::invalid_argument when there are no terms to choose from. Results do not depend on the number of threads.
StepwiseResult stepwise_fit(const Design& design, const FitOptions& options, const StepwiseOptions& stepwise,
                            const ProgressCallback& progress = {});

/// The steps as a table.
std::string stepwise_text(const StepwiseResult& result, int digits = 6);

}  // namespace clearway
