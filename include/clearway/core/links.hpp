// Links of positive responses as formulas over arrays.
#pragma once

#include "clearway/core/array.hpp"
#include "clearway/core/link_kind.hpp"

namespace clearway {

/// Logarithm of the mean; NaN where the linear predictor is not allowed (eta <= 0 for all links but the logarithm).
template <Array A>
A log_mean(LinkKind link, const A& eta) {
  if (link == LinkKind::log) return eta;
  const A log_eta = log(eta);
  if (link == LinkKind::identity) return log_eta;
  return log_eta * (link == LinkKind::inverse ? -1.0 : -0.5);
}

}  // namespace clearway
