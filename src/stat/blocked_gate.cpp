#include "blocked_gate.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/parallel.hpp"
#include "expert_updates.hpp"

namespace clearway::detail {

using Eigen::Index;

BlockedGate::BlockedGate(const std::vector<Data>& blocks, const Gate& prototype, const ParameterMap& map,
                         const EngineSettings& settings, double total_weight, int threads)
    : blocks_(blocks), map_(map), settings_(settings), total_weight_(total_weight), threads_(threads) {
  for (const int i : map.gate) free_ += i >= 0 ? 1 : 0;
  Index begin = 0;
  for (const Data& block : blocks) {
    begins_.push_back(begin);
    begin += block.rows();
    if (prototype.is_linear()) features_.push_back(prototype.features(block.gate_inputs) / prototype.temperature());
  }
}

Matrix BlockedGate::log_weights(const Gate& gate, std::size_t b) const {
  if (features_.empty() || !gate.is_smooth()) return gate.log_weights(blocks_[b].gate_inputs);
  const Eigen::Map<const Matrix> blocks(gate.parameters().data(), gate.block_size(), gate.experts());
  Matrix t = features_[b] * blocks;
  t.colwise() -= t.rowwise().maxCoeff().eval();
  t.colwise() -= t.array().exp().rowwise().sum().log().matrix().eval();
  return t;
}

std::vector<GateLevel> BlockedGate::levels(const Gate& gate, std::size_t b) const {
  if (features_.empty()) return gate.levels(blocks_[b].gate_inputs);
  GateLevel level;
  level.log_weights = log_weights(gate.is_smooth() ? gate : gate.dense(), b);
  level.jacobians.push_back(features_[b]);
  for (int k = 0; k < gate.experts(); ++k) {
    level.experts.push_back({k});
    std::vector<Index> where(static_cast<std::size_t>(gate.block_size()));
    for (std::size_t c = 0; c < where.size(); ++c)
      where[c] = static_cast<Index>(k) * gate.block_size() + static_cast<Index>(c);
    level.parameters.push_back(std::move(where));
  }
  return {level};
}

double BlockedGate::objective(const Matrix& r, const Gate& gate) const {
  double value = 0;
  for (std::size_t b = 0; b < blocks_.size(); ++b) value += log_weights(gate, b).cwiseProduct(rows_of(r, b)).sum();
  return value + gate_penalty(gate, map_, settings_.gate_ridge * total_weight_);
}

void BlockedGate::add_level(const GateLevel& level, const Matrix& r, System& sum) const {
  const auto members = static_cast<Index>(level.experts.size());
  Matrix pooled = Matrix::Zero(r.rows(), members);
  for (Index m = 0; m < members; ++m)
    for (const int expert : level.experts[static_cast<std::size_t>(m)]) pooled.col(m) += r.col(expert);
  const Matrix p = level.log_weights.array().exp();
  const Vector mass = pooled.rowwise().sum();
  const auto free = [&](Index m, Index c) {
    return map_
        .gate[static_cast<std::size_t>(level.parameters[static_cast<std::size_t>(m)][static_cast<std::size_t>(c)])];
  };
  for (Index m = 0; m < members; ++m) {
    const Matrix& left = level.jacobian(static_cast<std::size_t>(m));
    const Vector g = left.transpose() * (pooled.col(m) - mass.cwiseProduct(p.col(m)));
    for (Index c = 0; c < g.size(); ++c)
      if (free(m, c) >= 0) sum.gradient(free(m, c)) += g(c);
    for (Index l = m; l < members; ++l) {
      const Vector weight = mass.array() * p.col(m).array() * ((m == l ? 1.0 : 0.0) - p.col(l).array());
      const Matrix& right = level.jacobian(static_cast<std::size_t>(l));
      const Matrix part = left.transpose() * (weight.asDiagonal() * right);
      for (Index c = 0; c < part.rows(); ++c)
        for (Index d = 0; d < part.cols(); ++d) {
          const int i = free(m, c), j = free(l, d);
          if (i < 0 || j < 0) continue;
          sum.information(i, j) += part(c, d);
          if (l != m) sum.information(j, i) += part(c, d);
        }
    }
  }
}

BlockedGate::System BlockedGate::system(const Matrix& r, const Gate& gate, bool selected) const {
  std::vector<System> parts(blocks_.size());
  parallel_for(blocks_.size(), threads_, [&](std::size_t b) {
    System& part = parts[b];
    part.gradient = Vector::Zero(free_);
    part.information = Matrix::Zero(free_, free_);
    const Matrix rb = rows_of(r, b);
    std::vector<GateLevel> all = levels(gate, b);
    if (selected) {
      all.front().log_weights = log_weights(gate, b);
    } else {
      for (const GateLevel& level : all)
        for (std::size_t m = 0; m < level.experts.size(); ++m)
          for (const int expert : level.experts[m])
            part.value += level.log_weights.col(static_cast<Index>(m)).dot(rb.col(expert));
    }
    for (const GateLevel& level : all) add_level(level, rb, part);
  });
  System sum{.gradient = Vector::Zero(free_), .information = Matrix::Zero(free_, free_)};
  sum.value = gate_penalty(gate, map_, settings_.gate_ridge * total_weight_);
  for (const System& part : parts) {
    sum.value += part.value;
    sum.gradient += part.gradient;
    sum.information += part.information;
  }
  if (settings_.gate_ridge > 0)
    for (std::size_t i = 0; i < map_.gate.size(); ++i) {
      const int f = map_.gate[i];
      if (f < 0 || !map_.penalised[static_cast<std::size_t>(f)]) continue;
      sum.gradient(f) -= settings_.gate_ridge * total_weight_ * gate.parameters()(static_cast<Index>(i));
      sum.information(f, f) += settings_.gate_ridge * total_weight_;
    }
  sum.information.diagonal().array() += 1e-10 * sum.information.trace() / static_cast<double>(free_) + 1e-12;
  return sum;
}

Gate BlockedGate::moved(const Gate& gate, const Vector& direction) const {
  Gate result = gate;
  for (std::size_t i = 0; i < map_.gate.size(); ++i)
    if (const int f = map_.gate[i]; f >= 0) {
      double& value = result.parameters()(static_cast<Index>(i));
      value = std::clamp(value + direction(f), map_.lower(f), map_.upper(f));
    }
  return result;
}

Vector BlockedGate::direction(const Matrix& r, const Gate& gate, bool selected) const {
  if (free_ == 0) return Vector::Zero(0);
  const System s = system(r, gate, selected);
  return solve_semidefinite(s.information, s.gradient);
}

bool BlockedGate::improve(const Matrix& r, Gate& gate) const {
  if (free_ == 0) return false;
  const System s = system(r, gate, false);
  double damping = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    Matrix damped = s.information;
    damped.diagonal() += damping * s.information.diagonal();
    const Vector step = solve_semidefinite(damped, s.gradient);
    if (step.allFinite()) {
      Gate candidate = moved(gate, step);
      if (objective(r, candidate) >= s.value) {
        gate = std::move(candidate);
        return true;
      }
    }
    damping = damping == 0 ? 1e-2 : damping * 8;
  }
  return false;
}

}  // namespace clearway::detail
