// What stands against the normal theory of an estimate: found here, withheld in inference.cpp, explained in
// docs/inference.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/stat/inference.hpp"
#include "covariance_chart.hpp"
#include "em_engine.hpp"
#include "merge_loss.hpp"

namespace clearway::detail {

/// The information of the free parameters on the working scale, inverted where it can be.
struct InvertedInformation {
  std::vector<int> active;      ///< free parameters that take part (not at a bound, with some information)
  std::vector<int> at_bound;    ///< those at a bound
  std::vector<int> without;     ///< those with no or negative information of their own
  Matrix inverse;               ///< free x free, zero outside of the active ones; flat directions left out
  double condition_number = 1;  ///< of the information scaled to unit diagonal
  Vector flattest;              ///< free: scaled direction of the smallest eigenvalue
  std::vector<Vector> flat;     ///< free: scaled directions left out because the likelihood is flat along them
};
/// `surplus`: how many directions are flat by the symmetries of the model (more parameters than degrees of freedom).
InvertedInformation invert_information(const Matrix& information, const ParameterMap& map, const Vector& free,
                                       double total_weight, int surplus);

/// What find_problems() looks at. `standard` is on the working scale.
struct ValidityInputs {
  const FitResult& result;
  const MixtureModel& standard;
  const ParameterMap& map;
  const std::optional<CovarianceChart>& chart;  ///< its parameters are the last free ones
  const std::vector<int>& at_floor;             ///< experts whose covariance is, where there is a chart
  const InvertedInformation& inverted;
  const std::vector<MergeLoss>& merges;
  const Inference& inference;               ///< its table, with standard errors
  const std::vector<std::string>& stacked;  ///< names of the stacked parameters
  const std::vector<std::string>& free_names;
  double newton_decrement;
};

/// Every finding, the gravest first.
std::vector<ValidityFinding> find_problems(const ValidityInputs& inputs);

/// Names of the free parameters: those of the stacked ones, "expert 1: volume" or "experts: shape 1" for a chart's.
std::vector<std::string> names_of_free(const ParameterMap& map, const std::vector<std::string>& stacked,
                                       const std::optional<CovarianceChart>& chart);

/// The largest loadings of a direction over the free parameters, in words: "expert 1: x1 (0.71), expert 2: x1 (-0.70)".
std::string direction_in_words(const Vector& direction, const std::vector<std::string>& free_names);

}  // namespace clearway::detail
