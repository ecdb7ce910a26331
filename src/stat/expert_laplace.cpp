// The M-step of Laplace experts: weighted least absolute deviations.
//
// Directions come from least squares with weights r / |residual| (Schlossmacher 1973), which majorise the absolute
// values; along each the objective is piecewise linear and convex, so a weighted median gives the exact best step.
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <utility>

#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kLeastRounds = 3;
constexpr double kNearZero = 1e-6;       // residuals below this share of their mean count as that
constexpr double kSmallestGain = 1e-12;  // relative

// The t that minimises sum_i weight_i |e_i - t g_i|.
double best_length(const Vector& e, const Vector& g, const ConstVectorRef& weight) {
  std::vector<std::pair<double, double>> points;  // kink, weight
  double total = 0;
  for (Index i = 0; i < e.size(); ++i) {
    const double w = weight(i) * std::abs(g(i));
    if (!(w > 0)) continue;
    points.emplace_back(e(i) / g(i), w);
    total += w;
  }
  std::sort(points.begin(), points.end());
  double below = 0;
  for (const auto& [t, w] : points) {
    below += w;
    if (below >= 0.5 * total) return t;
  }
  return 0;
}

// The best fits pass through as many points as there are coefficients. The step to the fit through the points that are
// nearest now; false when they do not determine one.
bool step_to_nearest(const Matrix& design, const Vector& residual, const ConstVectorRef& weight, Vector& step) {
  const Index p = design.cols();
  std::vector<Index> rows;
  for (Index i = 0; i < residual.size(); ++i)
    if (weight(i) > 0) rows.push_back(i);
  if (static_cast<Index>(rows.size()) < p) return false;
  std::nth_element(rows.begin(), rows.begin() + (p - 1), rows.end(),
                   [&](Index a, Index b) { return std::abs(residual(a)) < std::abs(residual(b)); });
  Matrix system(p, p);
  Vector right(p);
  for (Index i = 0; i < p; ++i) {
    system.row(i) = design.row(rows[static_cast<std::size_t>(i)]);
    right(i) = residual(rows[static_cast<std::size_t>(i)]);
  }
  const Eigen::FullPivLU<Matrix> decomposition(system);
  if (!decomposition.isInvertible()) return false;
  step = decomposition.solve(right);
  return step.allFinite();
}

}  // namespace

void update_laplace(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor,
                    int steps) {
  const int d = slope_count(expert), p = 1 + d;
  const double mass = r.sum();
  Vector residual(r.size());
  Matrix design(r.size(), p);
  Index at = 0;
  for (const Data& block : blocks) {
    residual.segment(at, block.rows()) =
        block.response.col(0) - linear_predictor(expert, block.expert_inputs, block.offset);
    design.col(0).segment(at, block.rows()).setOnes();
    if (d > 0) design.block(at, 1, block.rows(), d) = block.expert_inputs;
    at += block.rows();
  }
  double loss = r.dot(residual.cwiseAbs());
  for (int round = 0; round < std::max(steps, kLeastRounds); ++round) {
    const double small = std::max(kNearZero * loss / mass, 1e-300);
    const Vector weight = r.cwiseQuotient(residual.cwiseAbs().cwiseMax(small));
    const Matrix weighted = weight.asDiagonal() * design;
    const Vector step = solve_semidefinite(design.transpose() * weighted, weighted.transpose() * residual);
    if (!step.allFinite()) break;
    const Vector change = design * step;
    const double length = best_length(residual, change, r);
    const Vector moved = residual - length * change;
    const double after = r.dot(moved.cwiseAbs());
    if (!(after < loss)) break;
    expert.parameters().head(p) += length * step;
    residual = moved;
    const double gain = loss - after;
    loss = after;
    if (gain <= kSmallestGain * loss) break;
  }
  if (Vector step; step_to_nearest(design, residual, r, step)) {
    const double after = r.dot((residual - design * step).cwiseAbs());
    if (after < loss) {
      expert.parameters().head(p) += step;
      loss = after;
    }
  }
  expert.set_sigma(std::max(sigma_floor, loss / mass));
}

}  // namespace clearway::detail
