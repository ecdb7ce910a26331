// EM with memberships that are decided instead of weighed (Celeux and Govaert 1992, Comput. Stat. Data Anal. 14;
// Celeux and Diebolt 1985): hard for CEM, drawn for SEM. Other estimators than maximum likelihood, and reported as such.
#pragma once

#include "clearway/stat/fit.hpp"

namespace clearway::detail {

/// options.method says which.
///
///   cem   z_t = the most responsible expert, then the M-step for these z: raises the classification likelihood
///         sum_t w_t log(gate_z f_z) until no row moves. Experts that overlap are pulled apart: estimates are biased then.
///   sem   z_t drawn from the responsibilities, then the M-step; the estimate is the mean of the second half of the chain
///         (experts matched by memberships), which maximum likelihood shares as n grows.
///
/// Both begin at the optimum of EM found with the same options.
FitResult classification_fit(const Data& data, const FitOptions& options, const MixtureModel* user_start,
                             const ProgressCallback& progress);

}  // namespace clearway::detail
