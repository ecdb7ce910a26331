// How the mean of a positive response follows from the linear predictor.
#pragma once

namespace clearway {

enum class LinkKind {
  log,             ///< mean = exp(eta)
  inverse,         ///< mean = 1 / eta, eta > 0
  inverse_square,  ///< mean = 1 / sqrt(eta), eta > 0
  identity         ///< mean = eta > 0
};

}  // namespace clearway
