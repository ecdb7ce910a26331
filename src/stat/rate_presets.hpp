// The simulations of the papers, as problems of the rates study, and a free choice of gate and experts.
#pragma once

#include "clearway/stat/study_rates.hpp"

namespace clearway::detail {

/// solvability_exponent() is known up to so many fitted experts that share a true one.
constexpr int kSolvedCells = 3;

/// The problem of a preset. Throws std::invalid_argument for an unknown name.
RateProblem preset_problem(const std::string& name);

/// A truth drawn from the seed: inputs uniform on [-1, 1], experts of ordinary size, drawn again until every expert has a
/// fair share of the rows and differs from the others by more than the noise.
RateProblem free_problem(const RateStudyOptions& options);

}  // namespace clearway::detail
