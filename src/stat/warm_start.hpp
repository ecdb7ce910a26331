// Starts along the number of experts: a solution with one expert more, made by splitting an expert, or one fewer, made
// by merging two. Several are tried for a few iterations of EM; the best is the start (after the split-and-merge EM of
// Ueda, Nakano, Ghahramani and Hinton 2000).
#pragma once

#include <optional>

#include "clearway/stat/fit.hpp"

namespace clearway::detail {

/// Models are on the scale of the data. `options` are those of the model wanted (its number of experts included).
/// Nothing when no start of a finite likelihood could be made.

/// From k - 1 experts to k: each expert in turn is split, by the sign of its residuals and by the side of its rows along
/// the input that varies most within it.
std::optional<MixtureModel> split_start(const Data& data, const FitOptions& options, const MixtureModel& smaller);

/// From k + 1 experts to k: the pairs that share most responsibility are merged, and each expert in turn is left out.
std::optional<MixtureModel> merge_start(const Data& data, const FitOptions& options, const MixtureModel& larger);

/// From k - 1 experts to k without changing the density: expert 0 twice, at half its weight. The last resort that keeps
/// the likelihood from falling. Nothing for gates whose weights do not allow it (equal, sigmoid, Laplace, Gaussian).
std::optional<MixtureModel> duplicated_start(const FitOptions& options, const MixtureModel& smaller);

}  // namespace clearway::detail
