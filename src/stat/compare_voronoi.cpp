// Fitted and true mixtures as mixing measures, their Voronoi cells and losses.
#include <stdexcept>

#include "clearway/core/voronoi.hpp"
#include "compare_atoms.hpp"

namespace clearway {
namespace {

MixingMeasure mixing_measure(const MixtureModel& model) {
  MixingMeasure measure;
  const GateBlocks gate = gate_blocks(model.gate);
  const Matrix coefficients = mean_coefficients(model.experts);
  measure.gate_intercepts = gate.intercepts.col(0);
  measure.gate_slopes = gate.slopes;
  measure.expert_slopes = regressors(model.experts);
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

VoronoiExponentRule exponents(const MixtureModel& model) {
  const bool linear = model.experts.front().spec().kind == ExpertKind::linear;
  if (!linear) return strongly_identifiable_exponents();
  return model.gate.spec().kind == GateKind::laplace ? laplace_linear_exponents() : softmax_linear_exponents();
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
      truth.experts.front().spec().kind == ExpertKind::multinomial) {
    result.notes.push_back(
        "Voronoi losses are given for one response and softmax, constant or Laplace gates of one kind.");
    return;
  }
  const MixingMeasure ours = mixing_measure(fitted);
  const MixingMeasure theirs = mixing_measure(truth);
  const auto loss = [&](const VoronoiExponentRule& rule) {
    return softmax ? voronoi_loss_up_to_translation(ours, theirs, rule) : voronoi_loss(ours, theirs, rule);
  };
  const VoronoiLoss first = loss(first_order());
  result.voronoi_exact = first.total;
  for (std::size_t i = 0; i < first.cells.size(); ++i)
    result.experts[static_cast<std::size_t>(first.cells[i])].cell.push_back(static_cast<int>(i));
  try {
    result.voronoi_over = loss(exponents(truth)).total;
  } catch (const std::invalid_argument&) {
    result.notes.push_back("A Voronoi cell holds 4 fitted experts or more: the exponents of the loss are not known.");
  }
}

}  // namespace clearway
