// Drawing responses from a mixture of experts: the generative story of the model, one row after the other.
//
//   z_t ~ Cat(gate(x_t)),   y_t ~ f_{z_t}(. | x_t)          (noise component: y_t uniform on its box)
//
// A regression function instead gives y_t = f_G(x_t) + normal noise, and the label is the expert that weighs most.
//
// Used by the scenarios, the studies, the parametric bootstrap and `clearway simulate`.
#pragma once

#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

/// Responses and the expert that gave each of them.
struct Draw {
  Matrix response;          ///< n x m (multinomial: class numbers 0..classes-1)
  std::vector<int> labels;  ///< n expert numbers from 0; expert_count() stands for the noise component
};

/// The box on which the noise component is uniform, one entry per response; empty without a noise component.
struct NoiseBox {
  Vector low;
  Vector high;
};

/// Draws one response per row of `inputs` (its expert_inputs, gate_inputs, trials and offset; the response is ignored).
/// Row by row: first the expert, then the response, so that the draw of a row depends on the rows before it only
/// through the stream. Rows of a group (repeated measures) share one drawn expert; labelled rows keep theirs. Throws std::invalid_argument when the model has a noise component and `box` does not give its
/// range.
Draw simulate(const MixtureModel& model, const Data& inputs, RandomStream& stream, const NoiseBox& box = {});

}  // namespace clearway
