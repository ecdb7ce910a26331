// What the experts of a sparse layer are: feed-forward networks of one hidden layer. No torch in this header.
//
//   relu, gelu, silu:  E(x) = act(x W1 + b1) W2 + b2
//   swiglu:            E(x) = (silu(x Wg + bg) * (x W1 + b1)) W2 + b2      (Shazeer 2020, arXiv 2002.05202)
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "clearway/base/options.hpp"

namespace clearway::deep {

enum class ExpertActivation { relu, gelu, silu, swiglu };
inline std::span<const EnumName<ExpertActivation>> enum_names(ExpertActivation) {
  static constexpr std::array<EnumName<ExpertActivation>, 4> names{{
      {ExpertActivation::relu, "relu", "max(0, a)"},
      {ExpertActivation::gelu, "gelu", "a Phi(a), by the error function"},
      {ExpertActivation::silu, "silu", "a sigmoid(a)"},
      {ExpertActivation::swiglu, "swiglu", "silu(gate) times value: three matrices instead of two"},
  }};
  return names;
}

/// Number type in which experts multiply; parameters stay in float.
enum class ComputeType { float32, bfloat16 };
inline std::span<const EnumName<ComputeType>> enum_names(ComputeType) {
  static constexpr std::array<EnumName<ComputeType>, 2> names{{
      {ComputeType::float32, "float32", "single precision"},
      {ComputeType::bfloat16, "bfloat16", "products of bfloat16 summed in float: faster where the processor has it"},
  }};
  return names;
}

/// Shape and kind of a bank of experts.
struct ExpertOptions {
  std::int64_t experts = 8;  ///< N
  std::int64_t inputs = 64;  ///< d, also the number of outputs
  std::int64_t hidden = 64;  ///< width of the hidden layer
  ExpertActivation activation = ExpertActivation::relu;
  bool bias = true;
  double dropout = 0;  ///< on hidden units, while training
  ComputeType compute = ComputeType::float32;
};

}  // namespace clearway::deep
