// Fitted and true mixtures as mixing measures, their Voronoi cells and losses.
#include <algorithm>

#include "clearway/core/voronoi.hpp"
#include "compare_atoms.hpp"

namespace clearway {

MixingMeasure mixing_measure(const MixtureModel& model) {
  MixingMeasure measure;
  const GateBlocks gate = gate_blocks(model.gate);
  const Matrix coefficients = mean_coefficients(model.experts);
  measure.gate_intercepts = gate.intercepts.col(0);
  measure.gate_slopes = gate.slopes;
  const Matrix slopes = regressors(model.experts);
  const Eigen::Index intercepts = coefficients.cols() - slopes.cols();
  measure.expert_slopes.resize(slopes.rows(), coefficients.cols() - 1);
  measure.expert_slopes.leftCols(slopes.cols()) = slopes;
  for (Eigen::Index j = 1; j < intercepts; ++j)
    measure.expert_slopes.col(slopes.cols() + j - 1) = coefficients.col(j * (coefficients.cols() / intercepts));
  measure.expert_intercepts = coefficients.col(0);
  if (model.experts.front().has_sigma()) {
    measure.variances.resize(model.expert_count());
    for (int i = 0; i < model.expert_count(); ++i) {
      const double sigma = model.experts[static_cast<std::size_t>(i)].sigma();
      measure.variances(i) = sigma * sigma;
    }
  }
  return measure;
}

namespace {

// From four atoms on only a lower bound of the exponents is known (7, and half of it): good enough to find the least loss
// over translations, not to report one.
constexpr int kKnownAtoms = 3;

VoronoiExponentRule exponents(const MixtureModel& model) {
  if (model.experts.front().spec().kind != ExpertKind::linear) return strongly_identifiable_exponents();
  const bool laplace = model.gate.spec().kind == GateKind::laplace;
  const VoronoiExponentRule rule = laplace ? laplace_linear_exponents() : softmax_linear_exponents();
  return [=](int atoms) {
    if (atoms <= kKnownAtoms) return rule(atoms);
    return laplace ? VoronoiExponents{2, 2, 7, 3.5} : VoronoiExponents{7, 3.5, 7, 3.5};
  };
}

bool exponents_are_known(const MixtureModel& model, const std::vector<int>& cells) {
  if (model.experts.front().spec().kind != ExpertKind::linear) return true;
  for (const int cell : cells)
    if (std::count(cells.begin(), cells.end(), cell) > kKnownAtoms) return false;
  return true;
}

VoronoiExponentRule first_order() {
  return [](int) { return VoronoiExponents{1, 1, 1, 1}; };
}

}  // namespace

void compare_voronoi(const MixtureModel& fitted, const MixtureModel& truth, Comparison& result) {
  const GateKind kind = truth.gate.spec().kind;
  const bool softmax = kind == GateKind::softmax || kind == GateKind::constant;
  if (fitted.gate.spec().kind != kind || fitted.gate.inputs() != truth.gate.inputs() ||
      !(softmax || kind == GateKind::laplace) || truth.experts.front().responses() > 1 ||
      has_class_logits(truth.experts.front().spec().kind)) {
    result.notes.push_back(
        "Voronoi losses are given for one response and softmax, constant or Laplace gates of one kind.");
    return;
  }
  const MixingMeasure ours = mixing_measure(fitted);
  const MixingMeasure theirs = mixing_measure(truth);
  const auto loss = [&](const VoronoiExponentRule& rule) {
    return voronoi_loss_up_to_translation(
        ours, theirs, rule, softmax ? GateTranslation::intercepts_and_slopes : GateTranslation::intercepts);
  };
  const VoronoiLoss first = loss(first_order());
  result.voronoi_exact = first.total;
  for (std::size_t i = 0; i < first.cells.size(); ++i)
    result.experts[static_cast<std::size_t>(first.cells[i])].cell.push_back(static_cast<int>(i));
  const VoronoiLoss over = loss(exponents(truth));
  if (exponents_are_known(truth, over.cells)) {
    result.voronoi_over = over.total;
  } else {
    result.notes.push_back("A Voronoi cell holds 4 fitted experts or more: the exponents of the loss are not known.");
  }
}

}  // namespace clearway
