// Maximum trimmed likelihood (Neykov, Filzmoser, Dimova and Neytchev 2007, Comput. Stat. Data Anal. 52): the rows that the
// model explains worst are left out, and which they are is part of the estimate.
#pragma once

#include "clearway/stat/fit.hpp"

namespace clearway::detail {

/// Maximises the log-likelihood of the best-explained rows that hold 1 - options.trim of the weight. Concentration steps
/// (fit to the rows kept, keep the rows explained best) from the fit to all rows and from fits to random halves; each
/// step raises the objective, and they end when the rows no longer change.
FitResult trimmed_fit(const Data& data, const FitOptions& options, const MixtureModel* user_start,
                      const ProgressCallback& progress);

}  // namespace clearway::detail
