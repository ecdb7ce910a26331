#include "compare_atoms.hpp"

namespace clearway {
namespace {

// Blocks [intercept, slopes] of one expert's mean.
struct MeanLayout {
  Eigen::Index means;
  Eigen::Index inputs;
};

MeanLayout layout_of(const Expert& expert) {
  switch (expert.spec().kind) {
    case ExpertKind::constant:
      return {1, 0};
    case ExpertKind::multinomial:
      return {expert.classes() - 1, expert.inputs()};
    case ExpertKind::conditional_logit:  // what classes have in common stands behind their blocks: one long block
      return {1, expert.parameters().size() - 1};
    default:
      return {expert.responses(), expert.inputs()};
  }
}

}  // namespace

Matrix mean_coefficients(const std::vector<Expert>& experts) {
  const MeanLayout layout = layout_of(experts.front());
  const Eigen::Index count = layout.means * (1 + layout.inputs);
  Matrix rows(static_cast<Eigen::Index>(experts.size()), count);
  for (std::size_t i = 0; i < experts.size(); ++i)
    rows.row(static_cast<Eigen::Index>(i)) = experts[i].parameters().head(count).transpose();
  return rows;
}

Matrix regressors(const std::vector<Expert>& experts) {
  const MeanLayout layout = layout_of(experts.front());
  const Matrix all = mean_coefficients(experts);
  Matrix rows(all.rows(), layout.means * layout.inputs);
  for (Eigen::Index j = 0; j < layout.means; ++j)
    rows.middleCols(j * layout.inputs, layout.inputs) = all.middleCols(j * (1 + layout.inputs) + 1, layout.inputs);
  return rows;
}

GateBlocks gate_blocks(const Gate& gate) {
  GateBlocks blocks;
  const Eigen::Index k = gate.experts();
  const GateSpec& spec = gate.spec();
  Eigen::Index slopes = gate.block_size() > 0 ? gate.block_size() - 1 : 0;
  double scale = 1.0;
  switch (spec.kind) {
    case GateKind::softmax:
      scale = 1.0 / spec.temperature;
      break;
    case GateKind::constant:
    case GateKind::equal:
    case GateKind::fixed:
      break;
    case GateKind::sigmoid:
    case GateKind::unnormalised_sigmoid:
      scale = 1.0 / spec.temperature;
      blocks.intercepts_relative = false;
      blocks.slopes_relative = false;
      break;
    case GateKind::laplace:
      blocks.slopes_relative = false;
      break;
    case GateKind::gaussian:  // centres only: factors are compared by nobody
      slopes = gate.inputs();
      blocks.slopes_relative = false;
      break;
    case GateKind::quadratic:
      scale = 1.0 / spec.temperature;
      blocks.comparable = spec.shape != QuadraticShape::low_rank;
      break;
    case GateKind::activated:
    case GateKind::cosine:
    case GateKind::hierarchical:
      blocks.comparable = false;
      break;
  }
  blocks.intercepts = Matrix::Zero(k, 1);
  blocks.slopes.resize(k, slopes);
  for (int i = 0; i < gate.experts(); ++i) {
    if (gate.block_size() == 0) continue;
    blocks.intercepts(i, 0) = scale * gate.block(i)(0);
    blocks.slopes.row(i) = scale * gate.block(i).segment(1, slopes).transpose();
  }
  return blocks;
}

}  // namespace clearway
