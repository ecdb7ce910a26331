#include "clearway/core/voronoi.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

void check_pair(const MixingMeasure& fitted, const MixingMeasure& truth) {
  fitted.check();
  truth.check();
  if (fitted.gate_slopes.cols() != truth.gate_slopes.cols() ||
      fitted.expert_slopes.cols() != truth.expert_slopes.cols() ||
      (fitted.variances.size() == 0) != (truth.variances.size() == 0))
    user_error("Voronoi loss: fit and truth must have the same inputs and the same kinds of parameters");
}

/// Distances of the four kinds of parameters between fitted atom i and true atom j.
struct AtomDistance {
  double gate_slope, expert_slope, expert_intercept, variance;
};

AtomDistance distance(const MixingMeasure& fitted, int i, const MixingMeasure& truth, int j) {
  return {(fitted.gate_slopes.row(i) - truth.gate_slopes.row(j)).norm(),
          (fitted.expert_slopes.row(i) - truth.expert_slopes.row(j)).norm(),
          std::abs(fitted.expert_intercepts(i) - truth.expert_intercepts(j)),
          fitted.variances.size() == 0 ? 0.0 : std::abs(fitted.variances(i) - truth.variances(j))};
}

double atom_weight(double intercept, AtomWeight weight) {
  return weight == AtomWeight::exponential ? std::exp(intercept) : 1.0 / (1.0 + std::exp(-intercept));
}

int known_exponent(int atoms) {
  const std::optional<int> order = solvability_exponent(atoms);
  if (!order)
    user_error("Voronoi loss: the exponent of a cell with {} fitted atoms is not known (at least 7 from 4 atoms on)",
               atoms);
  return *order;
}

}  // namespace

std::optional<int> solvability_exponent(int atoms) {
  if (atoms == 2) return 4;
  if (atoms == 3) return 6;
  if (atoms >= 4) return std::nullopt;
  user_error("solvability exponent: atoms must be at least 2, not {}", atoms);
}

VoronoiExponentRule strongly_identifiable_exponents() {
  return [](int) { return VoronoiExponents{}; };
}

VoronoiExponentRule softmax_linear_exponents() {
  return [](int atoms) {
    const double r = known_exponent(atoms);
    return VoronoiExponents{r, r / 2, r, r / 2};
  };
}

VoronoiExponentRule laplace_linear_exponents() {
  return [](int atoms) {
    const double r = known_exponent(atoms);
    return VoronoiExponents{2, 2, r, r / 2};
  };
}

std::vector<int> voronoi_cells(const MixingMeasure& fitted, const MixingMeasure& truth) {
  check_pair(fitted, truth);
  std::vector<int> cells;
  for (int i = 0; i < fitted.size(); ++i) {
    int nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int j = 0; j < truth.size(); ++j) {
      const AtomDistance d = distance(fitted, i, truth, j);
      const double squared = d.gate_slope * d.gate_slope + d.expert_slope * d.expert_slope +
                             d.expert_intercept * d.expert_intercept + d.variance * d.variance;
      if (squared < least) {
        least = squared;
        nearest = j;
      }
    }
    cells.push_back(nearest);
  }
  return cells;
}

VoronoiLoss voronoi_loss(const MixingMeasure& fitted, const MixingMeasure& truth, const VoronoiExponentRule& rule,
                         AtomWeight weight) {
  VoronoiLoss out;
  out.cells = voronoi_cells(fitted, truth);
  for (int j = 0; j < truth.size(); ++j) {
    const int atoms = static_cast<int>(std::count(out.cells.begin(), out.cells.end(), j));
    const VoronoiExponents p = atoms > 1 ? rule(atoms) : VoronoiExponents{1, 1, 1, 1};
    double cell_weight = 0;
    for (int i = 0; i < fitted.size(); ++i) {
      if (out.cells[static_cast<std::size_t>(i)] != j) continue;
      const double w = atom_weight(fitted.gate_intercepts(i), weight);
      const AtomDistance d = distance(fitted, i, truth, j);
      cell_weight += w;
      (atoms > 1 ? out.over_part : out.exact_part) +=
          w * (std::pow(d.gate_slope, p.gate_slope) + std::pow(d.expert_slope, p.expert_slope) +
               std::pow(d.expert_intercept, p.expert_intercept) + std::pow(d.variance, p.variance));
    }
    out.weight_part += std::abs(cell_weight - atom_weight(truth.gate_intercepts(j), weight));
  }
  out.total = out.weight_part + out.exact_part + out.over_part;
  return out;
}

VoronoiLoss voronoi_loss_up_to_translation(const MixingMeasure& fitted, const MixingMeasure& truth,
                                           const VoronoiExponentRule& rule, GateTranslation translation) {
  check_pair(fitted, truth);
  const auto log_total = [](const Vector& b) {
    return b.maxCoeff() + std::log((b.array() - b.maxCoeff()).exp().sum());
  };
  const double equal_totals = log_total(truth.gate_intercepts) - log_total(fitted.gate_intercepts);
  VoronoiLoss best;
  best.total = std::numeric_limits<double>::infinity();
  for (int i = 0; i < fitted.size(); ++i)
    for (int j = 0; j < truth.size(); ++j) {
      Vector t1 = Vector::Zero(truth.gate_slopes.cols());
      if (translation == GateTranslation::intercepts_and_slopes)
        t1 = truth.gate_slopes.row(j) - fitted.gate_slopes.row(i);
      for (const double t0 : {equal_totals, truth.gate_intercepts(j) - fitted.gate_intercepts(i)}) {
        VoronoiLoss loss = voronoi_loss(translated(fitted, t0, t1), truth, rule);
        if (!(loss.total < best.total)) continue;
        best = std::move(loss);
        best.intercept_shift = t0;
        best.slope_shift = t1;
      }
    }
  return best;
}

}  // namespace clearway
