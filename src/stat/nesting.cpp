#include "nesting.hpp"

#include <cmath>

#include "response_family.hpp"

namespace clearway::detail {
namespace {

// What an intercept of a level is divided by.
double intercept_scale(const GateSpec& spec, LevelKind level) {
  return level == LevelKind::softmax ? spec.temperature : 1.0;
}

}  // namespace

namespace {

// The kinds that a kind contains, one step down.
std::vector<ExpertKind> nested_kinds(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::student_t:
    case ExpertKind::skew_normal:
    case ExpertKind::heteroscedastic:
      return {ExpertKind::linear};
    case ExpertKind::skew_t:
      return {ExpertKind::student_t, ExpertKind::skew_normal};
    case ExpertKind::negative_binomial:
    case ExpertKind::zero_inflated_poisson:
      return {ExpertKind::poisson};
    case ExpertKind::weibull:
      return {ExpertKind::exponential};
    default:
      return {};
  }
}

// The value at which an added parameter leaves the smaller kind's density, to rounding.
double neutral_value(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::student_t:
    case ExpertKind::skew_t:
    case ExpertKind::negative_binomial:
      return extra_parameters(kind).back().upper;
    case ExpertKind::zero_inflated_poisson:
      return extra_parameters(kind).back().lower;
    default:  // no slant, a constant log sigma, a shape of 1
      return 0.0;
  }
}

}  // namespace

std::vector<FitOptions> nested_options(const FitOptions& options) {
  std::vector<FitOptions> nested;
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
  if (options.experts == 1) {
    // One expert needs no gate.
  } else if (gate == GateKind::quadratic && options.gate.linear_term) {
    add([](FitOptions& o) { o.gate.kind = GateKind::softmax; });
  } else if (gate_reads_inputs(gate) && has_constant) {
    add([](FitOptions& o) { o.gate = GateSpec{.kind = GateKind::constant}; });
  }
  if (options.expert_kinds.size() < 2)
    for (const ExpertKind kind : nested_kinds(options.expert.kind)) add([&](FitOptions& o) { o.expert.kind = kind; });
  return nested;
}

MixtureModel in_order_of_kinds(const MixtureModel& model, const MixtureModel& prototype) {
  std::vector<int> order;
  std::vector<bool> taken(model.experts.size(), false);
  bool moved = false;
  for (std::size_t j = 0; j < prototype.experts.size(); ++j) {
    std::size_t match = 0;
    while (match < taken.size() &&
           (taken[match] || model.experts[match].spec().kind != prototype.experts[j].spec().kind))
      ++match;
    if (match == taken.size()) return model;
    taken[match] = true;
    moved = moved || match != j;
    order.push_back(static_cast<int>(match));
  }
  return moved ? model.permuted(order) : model;
}

MixtureModel enlarge(const MixtureModel& given, const MixtureModel& prototype) {
  const MixtureModel smaller = in_order_of_kinds(given, prototype);
  MixtureModel larger = prototype;
  larger.has_noise = smaller.has_noise;
  larger.noise_weight = smaller.noise_weight;
  larger.noise_log_density = smaller.noise_log_density;
  for (std::size_t j = 0; j < larger.experts.size(); ++j) {
    const Vector& from = smaller.experts[j].parameters();
    Vector& to = larger.experts[j].parameters();
    if (from.size() == to.size()) {
      to = from;
    } else if (smaller.experts[j].spec().kind == ExpertKind::student_t) {  // in a skew-t expert, without slant
      to.head(from.size() - 1) = from.head(from.size() - 1);
      to(to.size() - 2) = 0;
      to(to.size() - 1) = from(from.size() - 1);
    } else {  // the larger kind's parameters begin with those of the smaller one
      to.head(from.size()) = from;
      to.tail(to.size() - from.size()).setConstant(neutral_value(prototype.experts[j].spec().kind));
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
