#include "nesting.hpp"

#include <cmath>

namespace clearway::detail {
namespace {

// What an intercept of a level is divided by.
double intercept_scale(const GateSpec& spec, LevelKind level) {
  return level == LevelKind::softmax ? spec.temperature : 1.0;
}

}  // namespace

std::vector<FitOptions> nested_options(const FitOptions& options) {
  std::vector<FitOptions> nested;
  if (options.experts == 1) return nested;
  const auto add = [&](auto change) {
    FitOptions smaller = options;
    change(smaller);
    nested.push_back(smaller);
  };
  const GateKind gate = options.gate.kind;
  // A top-k gate gives no weight to some experts everywhere, which no constant gate does; nor can a cosine be the same
  // everywhere when its directions have no length.
  const bool dense = options.gate.top_k == 0 || options.gate.top_k == options.experts;
  const bool has_constant = dense && (gate != GateKind::cosine || options.gate.perturbation > 0);
  if (gate == GateKind::quadratic && options.gate.linear_term)
    add([](FitOptions& o) { o.gate.kind = GateKind::softmax; });
  else if (gate_reads_inputs(gate) && has_constant)
    add([](FitOptions& o) { o.gate = GateSpec{.kind = GateKind::constant}; });
  if (options.expert.kind == ExpertKind::student_t) add([](FitOptions& o) { o.expert.kind = ExpertKind::linear; });
  return nested;
}

MixtureModel enlarge(const MixtureModel& smaller, const MixtureModel& prototype) {
  MixtureModel larger = prototype;
  larger.has_noise = smaller.has_noise;
  larger.noise_weight = smaller.noise_weight;
  larger.noise_log_density = smaller.noise_log_density;
  for (std::size_t j = 0; j < larger.experts.size(); ++j) {
    const Vector& from = smaller.experts[j].parameters();
    Vector& to = larger.experts[j].parameters();
    if (from.size() == to.size()) {
      to = from;
    } else {  // linear to Student t with nu at its upper bound, where it is Gaussian to rounding
      to.head(from.size()) = from;
      to.tail(to.size() - from.size()).setConstant(std::log(1e8));
    }
  }
  const GateKind from = smaller.gate.spec().kind, to = prototype.gate.spec().kind;
  Gate& gate = larger.gate;
  if (from == to) {
    gate = smaller.gate;
  } else if (from == GateKind::softmax) {  // to quadratic: intercept and slopes lead every block
    const int shared = smaller.gate.block_size();
    for (int k = 0; k < gate.experts(); ++k) gate.block(k).head(shared) = smaller.gate.block(k);
  } else if (to == GateKind::hierarchical) {  // from constant: the weights of the groups, and those within them
    const Vector weights = smaller.gate.log_weights(Matrix::Zero(1, smaller.gate.inputs())).array().exp().transpose();
    Vector group_weights = Vector::Zero(gate.groups());
    for (int k = 0; k < gate.experts(); ++k) {
      gate.block(k)(0) = intercept_scale(gate.spec(), gate.spec().inner) * std::log(weights(k));
      group_weights(gate.group_of()[static_cast<std::size_t>(k)]) += weights(k);
    }
    for (int g = 0; g < gate.groups(); ++g)
      gate.group_block(g)(0) = intercept_scale(gate.spec(), gate.spec().outer) * std::log(group_weights(g));
  } else {  // from constant: log-weights become intercepts
    const Vector log_weights = smaller.gate.log_weights(Matrix::Zero(1, smaller.gate.inputs())).transpose();
    for (int k = 0; k < gate.experts(); ++k) {
      if (to == GateKind::sigmoid) {
        const double weight = 0.5 * std::exp(log_weights(k) - log_weights.maxCoeff());
        gate.block(k)(0) = prototype.gate.spec().temperature * (std::log(weight) - std::log1p(-weight));
      } else {
        const bool untempered = to == GateKind::laplace || to == GateKind::gaussian || to == GateKind::cosine;
        gate.block(k)(0) = log_weights(k) * (untempered ? 1.0 : prototype.gate.temperature());
      }
    }
  }
  if (prototype.gate.spec().kind == GateKind::quadratic && prototype.gate.spec().shape == QuadraticShape::low_rank)
    for (int k = 0; k < gate.experts(); ++k)  // a product of two zeros has no gradient
      gate.block(k).tail(2 * prototype.gate.spec().rank * gate.inputs()).setConstant(1e-4);
  gate.pin();
  return larger;
}

}  // namespace clearway::detail
