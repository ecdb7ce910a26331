// Which smaller models a model contains, and how an optimum of the smaller one becomes a start for the larger one.
#pragma once

#include <optional>
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

/// How linear predictors in `few` (n x d) become linear predictors in `many` (n x D): (1 + D) x (1 + d), with
/// [1 many] * result = [1 few]; intercepts first. Nothing where some column of `few` is no linear combination of those.
std::optional<Matrix> coefficients_in(const Matrix& few, const Matrix& many);

/// Whether such a matrix only says where each column stands.
bool selects_columns(const Matrix& coefficients);

}  // namespace clearway::detail
