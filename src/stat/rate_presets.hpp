// The simulations of the papers, as problems of the rates study, and a free choice of gate and experts.
#pragma once

#include "clearway/stat/study_rates.hpp"

namespace clearway::detail {

/// One expert of a truth, with its part of the gate.
struct Part {
  std::vector<double> gate;  ///< block of the gate
  std::vector<double> mean;  ///< intercept and slopes (multinomial: of every class but the last)
  double sigma = 0;          ///< standard deviation of the noise, where the expert has one
};
/// A mixture of parts over `dim` inputs.
MixtureModel mixture(const GateSpec& gate, const ExpertSpec& expert, int dim, int classes,
                     const std::vector<Part>& parts);

/// solvability_exponent() is known up to so many fitted experts that share a true one.
constexpr int kSolvedCells = 3;

/// Presets whose gates are more than a softmax of linear scores: rate_presets_gates.cpp.
RateProblem top_k_problem();
RateProblem activated_problem();
RateProblem perturbed_cosine_problem();
RateProblem modified_inputs_problem();
RateProblem hierarchical_problem(LevelKind outer, LevelKind inner);
/// Sigmoids that need not sum to 1. Sparse: the expert that can be shared has no gate slope; dense: all have one.
RateProblem sigmoid_problem(bool dense);

/// The problem of a preset. Throws std::invalid_argument for an unknown name.
RateProblem preset_problem(const std::string& name);

/// A truth drawn from the seed: inputs uniform on [-1, 1], experts of ordinary size, drawn again until every expert has a
/// fair share of the rows and differs from the others by more than the noise.
RateProblem free_problem(const RateStudyOptions& options);

}  // namespace clearway::detail
