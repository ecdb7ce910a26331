#include "score_rows.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "clearway/base/parallel.hpp"
#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;
constexpr Index kBlockRows = 2048;
constexpr Index kBlocksAtOnce = 16;
constexpr double kLargestLogRatio = 700;  // exp() of more overflows

// Clusters numbered from 0 in order of appearance.
std::vector<Index> numbered(const std::vector<int>& clusters, Index& count) {
  std::unordered_map<int, Index> number;
  std::vector<Index> result;
  result.reserve(clusters.size());
  for (const int name : clusters) {
    const auto next = static_cast<Index>(number.size());
    result.push_back(number.try_emplace(name, next).first->second);
  }
  count = static_cast<Index>(number.size());
  return result;
}

}  // namespace

Vector first_of_group(const std::vector<int>& groups) {
  Vector first(static_cast<Index>(groups.size()));
  std::unordered_set<int> seen;
  for (std::size_t t = 0; t < groups.size(); ++t)
    first(static_cast<Index>(t)) = seen.insert(groups[t]).second ? 1.0 : 0.0;
  return first;
}

Matrix score_rows(const MixtureModel& model, const ParameterMap& map, const Data& block, const Matrix& responsibilities,
                  const Vector& gate_speaks) {
  const int k = model.expert_count();
  Matrix rows = Matrix::Zero(block.rows(), map.size);
  // Values v with sum_k w_k v_k differentiated at fixed v: v_k = r_k / w_k gives sum_k r_k d log w_k.
  const auto r = responsibilities.leftCols(k).array();
  const Matrix log_ratio = r.log() - model.gate.log_weights(block.gate_inputs).array();
  const Matrix ratio = (r > 0).select(log_ratio.array().min(kLargestLogRatio).exp(), 0.0);
  Matrix gate = model.gate.combination_jacobian(block.gate_inputs, ratio);
  if (gate_speaks.size()) gate = gate_speaks.asDiagonal() * gate;
  for (std::size_t i = 0; i < map.gate.size(); ++i)
    if (map.gate[i] >= 0) rows.col(map.gate[i]) += gate.col(static_cast<Index>(i));

  for (std::size_t j = 0; j < model.experts.size(); ++j) {
    const Matrix own = expert_score_rows(model.experts[j], block);
    const auto weight = responsibilities.col(static_cast<Index>(j));
    for (Index c = 0; c < own.cols(); ++c) {
      const int f = map.experts[j][static_cast<std::size_t>(c)];
      if (f >= 0) rows.col(f) += weight.cwiseProduct(own.col(c));
    }
  }
  if (model.has_noise && map.noise >= 0) rows.col(map.noise) = responsibilities.col(k).array() - model.noise_weight;
  return rows;
}

Matrix score_crossproduct(const Data& data, const Scaling& scaling, const MixtureModel& model, const ParameterMap& map,
                          const Matrix& responsibilities, const std::vector<int>& clusters, int threads) {
  const Index n = data.rows();
  const Index blocks = (n + kBlockRows - 1) / kBlockRows;
  const std::vector<int>& units = clusters.empty() ? data.groups : clusters;
  const Vector speaks = data.groups.empty() ? Vector() : first_of_group(data.groups);
  Index count = 0;
  const std::vector<Index> unit_of = numbered(units, count);
  Matrix by_unit = Matrix::Zero(map.size, count);
  Matrix sum = Matrix::Zero(map.size, map.size);
  for (Index first = 0; first < blocks; first += kBlocksAtOnce) {
    const Index many = std::min(kBlocksAtOnce, blocks - first);
    std::vector<Matrix> parts(static_cast<std::size_t>(many));
    parallel_for(static_cast<std::size_t>(many), threads, [&](std::size_t b) {
      const Index begin = (first + static_cast<Index>(b)) * kBlockRows, size = std::min(kBlockRows, n - begin);
      const Data block = scaling.standardised(data, begin, size);
      Matrix rows = score_rows(model, map, block, responsibilities.middleRows(begin, size),
                               speaks.size() ? Vector(speaks.segment(begin, size)) : Vector());
      if (block.weights.size()) rows = block.weights.asDiagonal() * rows;
      parts[b] = units.empty() ? Matrix(rows.transpose() * rows) : std::move(rows);
    });
    for (Index b = 0; b < many; ++b) {
      const Matrix& part = parts[static_cast<std::size_t>(b)];
      if (units.empty()) {
        sum += part;
        continue;
      }
      const Index begin = (first + b) * kBlockRows;
      for (Index t = 0; t < part.rows(); ++t)
        by_unit.col(unit_of[static_cast<std::size_t>(begin + t)]) += part.row(t).transpose();
    }
  }
  if (!units.empty()) sum = by_unit * by_unit.transpose();
  return sum;
}

}  // namespace clearway::detail
