// Data and options that the tests of inference share.
#pragma once

#include <fmt/format.h>

#include <cmath>

#include "clearway/base/random.hpp"
#include "clearway/stat/inference.hpp"

namespace clearway::testing {

inline ModelNames names_for(const Data& data) {
  ModelNames names;
  for (Eigen::Index j = 0; j < data.response.cols(); ++j) names.responses.push_back(fmt::format("y{}", j + 1));
  for (int j = 0; j < data.classes; ++j) names.classes.push_back(fmt::format("class{}", j + 1));
  for (Eigen::Index j = 0; j < data.expert_inputs.cols(); ++j) names.expert_inputs.push_back(fmt::format("x{}", j + 1));
  for (Eigen::Index j = 0; j < data.gate_inputs.cols(); ++j) names.gate_inputs.push_back(fmt::format("z{}", j + 1));
  return names;
}

inline FitOptions options_for(int experts, const GateSpec& gate = {}, const ExpertSpec& expert = {}) {
  FitOptions options;
  options.experts = experts;
  options.gate = gate;
  options.expert = expert;
  options.threads = 1;
  return options;
}

/// Rows of a softmax-gated problem of two linear experts whose inputs lie far from 0 and have other units than 1.
inline Data two_lines(Eigen::Index n, std::uint64_t seed, double noise = 0.5) {
  RandomStream stream(seed);
  Data data;
  data.expert_inputs.resize(n, 2);
  data.response.resize(n, 1);
  for (Eigen::Index t = 0; t < n; ++t) {
    const double a = stream.normal(), b = stream.normal();
    data.expert_inputs.row(t) << 5 + 2 * a, -1 + 0.5 * b;
    const bool first = stream.uniform() < 1 / (1 + std::exp(-0.4 - 1.5 * a + 0.7 * b));
    data.response(t, 0) = (first ? 2 + a - b : -1 - 0.5 * a + 0.3 * b) + noise * stream.normal();
  }
  data.gate_inputs = data.expert_inputs;
  return data;
}

/// One linear expert: y = 1 + 2 x1 - x2 + noise.
inline Data one_plane(Eigen::Index n, std::uint64_t seed) {
  Data data = two_lines(n, seed);
  RandomStream stream(seed, 1);
  for (Eigen::Index t = 0; t < n; ++t)
    data.response(t, 0) = 1 + 2 * data.expert_inputs(t, 0) - data.expert_inputs(t, 1) + stream.normal();
  return data;
}

inline Matrix with_ones(const Matrix& x) {
  Matrix design(x.rows(), x.cols() + 1);
  design << Matrix::Ones(x.rows(), 1), x;
  return design;
}

}  // namespace clearway::testing
