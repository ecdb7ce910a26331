// The three coordinate systems of inference and the maps between them:
//   free       the parameters that the engines estimate, on the working scale (ParameterMap)
//   stacked    all parameters of the model on the scale of the data, pinned ones included (model_parameters())
//   reported   what the summary shows: sigma and not log sigma, correlations, shares
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "clearway/stat/inference.hpp"
#include "em_engine.hpp"

namespace clearway::detail {

/// d function / d point by central differences with one Richardson step, the k-th coordinate moved by `steps[k]`:
/// exact for polynomials up to degree four, hence for every change of scale here. Coordinates with step 0 are left out.
Matrix numeric_jacobian(const std::function<Vector(const Vector&)>& function, const Vector& point, const Vector& steps);

/// d stacked / d free at a model on the working scale.
Matrix stacked_from_free(const MixtureModel& standard, const ParameterMap& map, const Scaling& scaling);

/// Names of the stacked parameters: "gate 1: x1", "expert 1: log(sigma)", "logit(noise weight)".
std::vector<std::string> stacked_names(const MixtureModel& model, const ModelNames& names);

/// The scale on which the normal approximation of a reported parameter is best.
enum class IntervalScale { identity, log, logit, fisher };

/// Names, kinds and values of the reported parameters.
struct ReportedParameters {
  std::vector<std::string> names, labels;
  std::vector<ParameterPart> parts;
  std::vector<int> experts;
  std::vector<IntervalScale> scales;
  Vector values;
};
/// `shares`: (1 - eps) times the average gate weights, one per expert.
ReportedParameters reported_parameters(const MixtureModel& model, const ModelNames& names, const Vector& shares);

/// Average gate weights over the rows times (1 - eps), and their derivative in the stacked parameters (k x stacked).
struct Shares {
  Vector values;
  Matrix jacobian;
};
Shares gate_shares(const MixtureModel& model, const Data& data, int threads);

/// d reported / d stacked. `steps`: a small fraction of the standard error of every stacked parameter.
Matrix reported_from_stacked(const MixtureModel& model, const ModelNames& names, const Shares& shares,
                             const Vector& steps);

/// estimate -+ quantile * error on the given scale, moved back.
std::pair<double, double> interval(double estimate, double error, double quantile, IntervalScale scale);

/// Where the parameters of expert k begin in the stacked vector.
Eigen::Index stacked_offset(const MixtureModel& model, std::size_t k);

}  // namespace clearway::detail
