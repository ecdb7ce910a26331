// Which smaller models a model contains, and how an optimum of the smaller one becomes a start for the larger one.
#pragma once

#include <vector>

#include "clearway/stat/fit.hpp"

namespace clearway::detail {

/// The options of the next smaller models that the model of `options` contains: a constant gate in any other gate, a
/// softmax gate in a quadratic one, Gaussian experts in Student t, skew-normal and heteroscedastic experts, those two
/// first ones in skew-t experts, Poisson experts in negative binomial and zero-inflated ones, exponential experts in Weibull experts.
std::vector<FitOptions> nested_options(const FitOptions& options);

/// The model with its experts in an order in which their kinds are those of the prototype; as it is where there is none.
MixtureModel in_order_of_kinds(const MixtureModel& model, const MixtureModel& prototype);

/// A model of the larger shape with (nearly) the same density as `smaller`; both on the working scale.
MixtureModel enlarge(const MixtureModel& smaller, const MixtureModel& prototype);

}  // namespace clearway::detail
