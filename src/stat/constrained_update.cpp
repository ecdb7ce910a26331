#include "constrained_update.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "expert_updates.hpp"
#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kDampings = 12;

double expected_log_density(const MixtureModel& model, const std::vector<Data>& blocks, const Matrix& r) {
  double value = 0;
  Index at = 0;
  for (const Data& block : blocks) {
    for (int k = 0; k < model.expert_count(); ++k) {
      const Vector density = model.experts[static_cast<std::size_t>(k)].log_density(block);
      const auto weight = r.col(k).segment(at, block.rows());
      for (Index i = 0; i < density.size(); ++i)
        if (weight(i) > 0) value += weight(i) * density(i);  // 0 times -infinity is no news
    }
    at += block.rows();
  }
  return value;
}

struct Curvature {
  Vector gradient;
  Matrix information;        // minus the Hessian, where it is known in closed form
  Matrix outer_information;  // sum of outer products of score rows: never negative
  bool closed = true;
};

Curvature curvature_of(const ParameterMap& map, const MixtureModel& model, const std::vector<Data>& blocks,
                       const Matrix& r) {
  Curvature c{Vector::Zero(map.size), Matrix::Zero(map.size, map.size), Matrix::Zero(map.size, map.size)};
  c.closed = std::all_of(model.experts.begin(), model.experts.end(), has_closed_hessian);
  Index at = 0;
  for (const Data& block : blocks) {
    for (std::size_t k = 0; k < model.experts.size(); ++k) {
      const Vector weight = r.col(static_cast<Index>(k)).segment(at, block.rows());
      const std::vector<int>& index = map.experts[k];
      const Matrix rows = expert_score_rows(model.experts[k], block);
      const Vector gradient = rows.transpose() * weight;
      const Matrix outer = rows.transpose() * (weight.asDiagonal() * rows);
      const Matrix hessian = c.closed ? expert_hessian(model.experts[k], block, weight) : Matrix();
      for (std::size_t i = 0; i < index.size(); ++i) {
        if (index[i] < 0) continue;
        const auto ii = static_cast<Index>(i);
        c.gradient(index[i]) += gradient(ii);
        for (std::size_t j = 0; j < index.size(); ++j) {
          if (index[j] < 0) continue;
          const auto jj = static_cast<Index>(j);
          c.outer_information(index[i], index[j]) += outer(ii, jj);
          if (c.closed) c.information(index[i], index[j]) -= hessian(ii, jj);
        }
      }
    }
    at += block.rows();
  }
  return c;
}

/// Free indices of the experts' parameters, each once: coefficients, and what follows them (noise levels, shapes).
struct Blocks {
  std::vector<Index> coefficients, extras;
};

Blocks blocks_of(const ParameterMap& map, const MixtureModel& model) {
  Blocks blocks;
  for (std::size_t k = 0; k < map.experts.size(); ++k) {
    const auto extras = static_cast<std::size_t>(extra_count(model.experts[k].spec().kind));
    const std::vector<int>& index = map.experts[k];
    for (std::size_t j = 0; j < index.size(); ++j)
      if (index[j] >= 0) (j + extras < index.size() ? blocks.coefficients : blocks.extras).push_back(index[j]);
  }
  for (std::vector<Index>* block : {&blocks.coefficients, &blocks.extras}) {
    std::sort(block->begin(), block->end());
    block->erase(std::unique(block->begin(), block->end()), block->end());
  }
  return blocks;
}

/// One damped Newton step on some of the free parameters. Returns whether it gained.
bool newton_step(const ParameterMap& map, const std::vector<Data>& blocks, const Matrix& r,
                 const std::vector<Index>& free, MixtureModel& model, double& value) {
  if (free.empty()) return false;
  const Curvature c = curvature_of(map, model, blocks, r);
  const Vector gradient = c.gradient(free);
  const Vector start = map.pack(model);
  const Matrix exact = c.information(free, free), outer = c.outer_information(free, free);
  const bool definite = c.closed && Eigen::LLT<Matrix>(exact).info() == Eigen::Success;
  double damping = 0;
  for (int attempt = 0; attempt < kDampings; ++attempt) {
    Matrix damped = definite ? exact : outer;
    const Vector scale = damped.diagonal();
    damped.diagonal() += damping * scale;
    damped.diagonal().array() += 1e-12 * (1 + scale.array());
    const Eigen::LLT<Matrix> factor(damped);
    damping = damping == 0 ? 1e-2 : damping * 8;
    if (factor.info() != Eigen::Success) continue;
    const Vector step = factor.solve(gradient);
    if (!step.allFinite()) continue;
    Vector target = start;
    target(free) += step;
    MixtureModel candidate = model;
    map.unpack(target, candidate);
    const double next = expected_log_density(candidate, blocks, r);
    if (!(next >= value)) continue;
    const bool gained = next > value;
    model.experts = std::move(candidate.experts);
    value = next;
    return gained;
  }
  return false;
}

/// Noise levels of Gaussian experts in closed form; a level that several experts share pools their residuals.
void update_sigma(const ParameterMap& map, const std::vector<Data>& blocks, const Matrix& r, MixtureModel& model) {
  std::vector<ResidualSum> sums(static_cast<std::size_t>(map.size));
  for (std::size_t k = 0; k < map.experts.size(); ++k)
    if (const int i = map.experts[k].back(); i >= 0) {
      const ResidualSum part = residual_sum(model.experts[k], blocks, r.col(static_cast<Index>(k)));
      sums[static_cast<std::size_t>(i)].squares += part.squares;
      sums[static_cast<std::size_t>(i)].weight += part.weight;
    }
  for (std::size_t k = 0; k < map.experts.size(); ++k)
    if (const int i = map.experts[k].back(); i >= 0)
      if (const ResidualSum& sum = sums[static_cast<std::size_t>(i)]; sum.weight > 1e-8 && sum.squares > 0)
        model.experts[k].set_sigma(std::max(std::exp(map.lower(i)), std::sqrt(sum.squares / sum.weight)));
}

}  // namespace

void update_constrained(const ParameterMap& map, const std::vector<Data>& blocks, const Matrix& r, int newton_steps,
                        MixtureModel& model) {
  const Blocks free = blocks_of(map, model);
  const Expert& first = model.experts.front();
  const bool gaussian = has_gaussian_residuals(first.spec().kind);
  double value = expected_log_density(model, blocks, r);
  // Coefficients and noise in turn: given the noise the coefficients of most families have a concave objective, which
  // both together have not.
  for (int round = 0; round < newton_steps; ++round) {
    bool gained = newton_step(map, blocks, r, free.coefficients, model, value);
    if (gaussian) {
      update_sigma(map, blocks, r, model);
      const double next = expected_log_density(model, blocks, r);
      gained = gained || next > value;
      value = next;
    } else {
      gained = newton_step(map, blocks, r, free.extras, model, value) || gained;
    }
    if (!gained) return;
  }
}

}  // namespace clearway::detail
