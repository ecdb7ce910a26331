// The working scale: inputs (and the response, where the experts allow it) with mean 0 and standard deviation 1. Fitting
// happens there; models move to and from the scale of the data exactly.
#pragma once

#include "clearway/stat/mixture_model.hpp"

namespace clearway::detail {

struct Scaling {
  Vector expert_centre, expert_scale;
  Vector gate_centre, gate_scale;
  Vector response_centre, response_scale;  ///< zeros and ones where the experts fix the scale of the response
  Vector response_deviation;               ///< standard deviation of the response on the scale of the data

  Scaling() = default;
  /// Weighted moments of the data; constant columns keep scale 1.
  Scaling(const Data& data, const MixtureModel& prototype);

  /// Rows begin .. begin + count - 1 of the data on the working scale.
  Data standardised(const Data& data, Eigen::Index begin, Eigen::Index count) const;
  /// A model on the working scale moved to the scale of the data, and back.
  MixtureModel to_raw(const MixtureModel& model) const;
  MixtureModel to_standard(const MixtureModel& model) const;
  /// What a log-likelihood on the working scale lacks to be one on the scale of the data, per unit of weight.
  double log_jacobian() const { return -response_scale.array().log().sum(); }
};

}  // namespace clearway::detail
