// Linear hypotheses about a fit as users write them, for the Wald tests of wald.hpp:
//
//   expert 1: x1                      this coefficient is 0; the names are those of the table of `clearway fit`
//   expert 1: x1 = 0.5                it is 0.5
//   expert 1: x1 = expert 2: x1       two are equal
//   2*expert 1: x1 - expert 2: x2 = 1 a linear combination has that value
//   x1, experts: x1, gate: x1         all coefficients of an input: everywhere, of the experts, of the gate
//
// "expert1:x1" is read as "expert 1: x1".
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/wald.hpp"

namespace clearway {

/// C b = value.
struct LinearHypothesis {
  std::string text;  ///< as it was written
  Matrix contrasts;  ///< rows x Inference::size()
  Vector value;      ///< rows
};

/// Reads one hypothesis. Throws std::invalid_argument that names the text and what is wrong with it: a name that the
/// table does not have (with the nearest one), a parameter for which 0 is no hypothesis and no value is given.
LinearHypothesis parse_hypothesis(const Inference& inference, const std::string& text);

/// The test of every hypothesis by itself and, where there are several, of all of them at once (last).
std::vector<WaldTest> wald_by_name(const Inference& inference, const std::vector<std::string>& hypotheses);

}  // namespace clearway
