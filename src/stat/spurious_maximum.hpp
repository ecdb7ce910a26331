// Maxima of the likelihood that are an accident of a few rows.
#pragma once

#include "clearway/stat/fit.hpp"

namespace clearway::detail {

/// Adds a warning for every expert that fits few rows almost exactly: the likelihood has such maxima by chance, short of
/// the spikes at the noise floor (McLachlan and Peel, Finite Mixture Models, 2000, section 3.10). Needs the shares.
void warn_of_spurious_maximum(FitResult& result);

}  // namespace clearway::detail
