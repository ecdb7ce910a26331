// The M-step of experts with fixed or shared parameters: damped Newton steps on what is left free, over all experts at
// once, because a shared coefficient belongs to all of them.
#pragma once

#include <vector>

#include "em_engine.hpp"

namespace clearway::detail {

/// Raises sum_k sum_t r_tk log f_k(y_t) over the free parameters of the experts; never lowers it. `blocks` are the rows
/// in blocks, r is n x k in their order. At most `newton_steps` steps; a step that gains nothing ends it.
void update_constrained(const ParameterMap& map, const std::vector<Data>& blocks, const Matrix& r, int newton_steps,
                        MixtureModel& model);

}  // namespace clearway::detail
