// Fitting a model again on other data of the same shape: replications of the bootstrap, simulated null distributions,
// deletion of rows.
#pragma once

#include "clearway/stat/fit.hpp"
#include "clearway/stat/simulate.hpp"

namespace clearway::detail {

/// Options that fit a model of the shape of `model` with one thread, from a start given by the caller and `data_starts`
/// others. What the model does not say (noise floor, tolerances, ridges) is taken from `base`.
FitOptions refit_options(const MixtureModel& model, const FitOptions& base, int data_starts, std::int64_t seed);

/// The box of the noise component of a model fitted to `data`; empty without one.
NoiseBox noise_box(const MixtureModel& model, const Data& data);

}  // namespace clearway::detail
