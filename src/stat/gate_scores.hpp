// Scores of one softmax of a gate: a family of functions t(x; theta), one block of parameters theta for every member.
//
// The formulas are those of clearway/core/gates; here they meet the flat layout of clearway/stat/gate.hpp.
#pragma once

#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/gate_specification.hpp"

namespace clearway::detail {

struct ScoreFamily {
  GateSpec spec = {};  ///< kind and settings; the temperature is the one in force
  int inputs = 0;
  Vector distance_scale = {};  ///< laplace: distances are taken of inputs divided by it

  /// Parameters of one member.
  int block_size() const;
  /// Length of the linear part of a quadratic gate: q or 0.
  int linear_size() const;
  int form_size() const;
  /// z n x q, blocks block_size x members: n x members.
  Matrix scores(const ConstMatrixRef& z, const ConstMatrixRef& blocks) const;
  /// d score / d theta of one member: n x block_size.
  Matrix jacobian(const ConstMatrixRef& z, const ConstVectorRef& theta) const;
  /// d score / d log temperature: n, given the scores of the member (activated and cosine).
  Vector temperature_derivative(const ConstVectorRef& scores, double intercept) const;
  /// Scores linear in the parameters, with features(z) shared by all members.
  bool is_linear() const;
  /// n x block_size.
  Matrix features(const ConstMatrixRef& z) const;
  /// How many leading entries of a block may be shifted together for all members without changing a weight.
  int free_shift() const;
  /// Identifiable parameters for so many members.
  int degrees_of_freedom(int members) const;
  /// One block moved to inputs x_raw = centre + scale * x.
  void move_block(const Vector& centre, const Vector& scale, Eigen::Ref<Vector> block) const;
  /// Names of the parameters of one block.
  std::vector<std::string> names(const std::vector<std::string>& inputs) const;
};

}  // namespace clearway::detail
