#include "clearway/stat/model_dendrogram.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/core/dendrogram.hpp"
#include "scaling.hpp"

namespace clearway {
namespace {

using Eigen::Index;

MixingMeasure measure_of(const MixtureModel& model) {
  const Index k = model.expert_count();
  const Index q = model.gate.spec().kind == GateKind::constant ? 0 : model.gate.inputs();
  const Index d = model.experts.front().inputs();
  MixingMeasure measure{Vector(k), Matrix(k, q), Matrix(k, d), Vector(k), Vector(k)};
  for (int i = 0; i < k; ++i) {
    const Vector block = model.gate.block(i);
    measure.gate_intercepts(i) = block(0);
    measure.gate_slopes.row(i) = block.tail(q).transpose();
    const Expert& expert = model.experts[static_cast<std::size_t>(i)];
    measure.expert_intercepts(i) = expert.parameters()(0);
    measure.expert_slopes.row(i) = expert.parameters().segment(1, d).transpose();
    measure.variances(i) = expert.sigma() * expert.sigma();
  }
  return measure;
}

/// The model of a measure: gate and experts of the kinds of `like`, on the scale of the measure.
MixtureModel model_of(const MixingMeasure& measure, const MixtureModel& like) {
  MixtureModel model;
  const int k = measure.size();
  model.gate = Gate(like.gate.spec(), like.gate.inputs(), k);
  const MixingMeasure pinned = translated_to_zero(measure, k - 1);
  for (int i = 0; i < k; ++i) {
    model.gate.block(i)(0) = pinned.gate_intercepts(i);
    model.gate.block(i).tail(pinned.gate_slopes.cols()) = pinned.gate_slopes.row(i).transpose();
    Expert expert = like.experts.front();
    expert.parameters()(0) = measure.expert_intercepts(i);
    expert.parameters().segment(1, measure.expert_slopes.cols()) = measure.expert_slopes.row(i).transpose();
    expert.set_sigma(std::sqrt(measure.variances(i)));
    model.experts.push_back(std::move(expert));
  }
  return model;
}

template <class Rows>
Rows without_row(const Rows& rows, Index j) {
  Rows out(rows.rows() - 1, rows.cols());
  out.topRows(j) = rows.topRows(j);
  out.bottomRows(out.rows() - j) = rows.bottomRows(out.rows() - j);
  return out;
}

/// Atoms that weigh by their shares; see the header.
struct ShareAtoms {
  MixingMeasure measure;
  Vector shares;   ///< k, sum 1
  Matrix centres;  ///< k x q: mean gate inputs of each atom's rows

  int size() const { return measure.size(); }
  void check() const { measure.check(); }

  double dissimilarity(int i, int j) const {
    const double intercepts = measure.expert_intercepts(i) - measure.expert_intercepts(j);
    const double variances = measure.variances(i) - measure.variances(j);
    const double slopes = (measure.expert_slopes.row(i) - measure.expert_slopes.row(j)).squaredNorm();
    return (intercepts * intercepts + std::sqrt(slopes + variances * variances)) / (1 / shares(i) + 1 / shares(j));
  }

  ShareAtoms merged(int i, int j) const {
    const double total = shares(i) + shares(j);
    const double share = shares(i) / total;
    const Vector centre = (share * centres.row(i) + (1 - share) * centres.row(j)).transpose();
    const double gi = measure.gate_intercepts(i) + measure.gate_slopes.row(i).dot(centre.transpose());
    const double gj = measure.gate_intercepts(j) + measure.gate_slopes.row(j).dot(centre.transpose());
    const double top = std::max(gi, gj);
    const double g = top + std::log(std::exp(gi - top) + std::exp(gj - top));
    const double weight = std::exp(gi - g);
    ShareAtoms out = *this;
    out.shares(i) = total;
    out.centres.row(i) = centre.transpose();
    MixingMeasure& m = out.measure;
    m.gate_slopes.row(i) = weight * measure.gate_slopes.row(i) + (1 - weight) * measure.gate_slopes.row(j);
    m.gate_intercepts(i) = g - m.gate_slopes.row(i).dot(centre.transpose());
    m.expert_slopes.row(i) = share * measure.expert_slopes.row(i) + (1 - share) * measure.expert_slopes.row(j);
    m.expert_intercepts(i) = share * measure.expert_intercepts(i) + (1 - share) * measure.expert_intercepts(j);
    m.variances(i) = share * measure.variances(i) + (1 - share) * measure.variances(j);
    out.shares = without_row(out.shares, j);
    out.centres = without_row(out.centres, j);
    m.gate_intercepts = without_row(m.gate_intercepts, j);
    m.gate_slopes = without_row(m.gate_slopes, j);
    m.expert_slopes = without_row(m.expert_slopes, j);
    m.expert_intercepts = without_row(m.expert_intercepts, j);
    m.variances = without_row(m.variances, j);
    return out;
  }
};

template <class Atoms, class ToRaw>
void fill(const Atoms& atoms, const MixtureModel& like, ToRaw&& to_raw, ModelDendrogram& out) {
  const Dendrogram<Atoms> tree = build_dendrogram(atoms);
  for (const Atoms& level : tree.levels) out.levels.push_back(to_raw(model_of(level.measure, like)));
  out.pairs = tree.pairs;
  out.heights = tree.heights;
}

}  // namespace

bool dendrogram_applies(const MixtureModel& model, std::string& reason) {
  const GateSpec& gate = model.gate.spec();
  if (model.expert_count() < 2)
    reason = "it needs at least two experts";
  else if (gate.kind != GateKind::constant && !(gate.kind == GateKind::softmax && gate.temperature == 1.0 &&
                                                gate.top_k == 0 && gate.transform == GateTransform::none))
    reason = "it is defined for plain softmax gates of temperature 1 and constant gates";
  else if (model.has_noise)
    reason = "it is not defined with a noise component";
  else if (model.experts.front().spec().kind != ExpertKind::linear || model.experts.front().responses() > 1)
    reason = "it is defined for linear Gaussian experts of one response";
  else
    return true;
  return false;
}

ModelDendrogram model_dendrogram(const MixtureModel& model, const Data& data, DendrogramWeights weights) {
  std::string reason;
  if (!data.groups.empty() || !data.labels.empty()) user_error("dendrogram: it is not defined for groups or labels");
  if (!dendrogram_applies(model, reason)) user_error("dendrogram of a fitted model: {}", reason);
  ModelDendrogram out;
  const double total = data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows());
  if (weights == DendrogramWeights::intercepts) {
    fill(
        SoftmaxGaussianAtoms{measure_of(model)}, model, [](const MixtureModel& m) { return m; }, out);
  } else {
    const detail::Scaling scaling(data, model);
    const MixtureModel standard = scaling.to_standard(model);
    const Data rows = scaling.standardised(data, 0, data.rows());
    const Vector w = data.weights.size() ? Vector(data.weights / total) : Vector::Constant(data.rows(), 1 / total);
    const Matrix gate = standard.gate.log_weights(rows.gate_inputs).array().exp();
    ShareAtoms atoms{measure_of(standard), gate.transpose() * w, Matrix()};
    atoms.shares = atoms.shares.cwiseMax(1e-12);
    const Index q = atoms.measure.gate_slopes.cols();
    const Matrix weighted = w.asDiagonal() * gate;
    atoms.centres = atoms.shares.cwiseInverse().asDiagonal() * (weighted.transpose() * rows.gate_inputs.leftCols(q));
    fill(
        atoms, standard, [&](const MixtureModel& m) { return scaling.to_raw(m); }, out);
  }
  for (const MixtureModel& level : out.levels) out.mean_log_likelihoods.push_back(level.log_likelihood(data) / total);
  std::vector<double> merged(out.mean_log_likelihoods.begin(), out.mean_log_likelihoods.end() - 1);
  out.criterion = dendrogram_criterion(out.heights, merged, std::log(total));
  const auto best = std::min_element(out.criterion.begin(), out.criterion.end());
  out.chosen = model.expert_count() - static_cast<int>(best - out.criterion.begin());
  return out;
}

}  // namespace clearway
