#include "clearway/stat/model_values.hpp"

namespace clearway {
namespace {

// Names for which only their number counts.
ModelNames anonymous(const MixtureModel& model) {
  ModelNames names;
  const Expert& expert = model.experts.front();
  names.responses.assign(static_cast<std::size_t>(expert.responses()), "");
  names.classes.assign(static_cast<std::size_t>(expert.classes()), "");
  names.expert_inputs.assign(
      static_cast<std::size_t>(expert.plain_inputs()) + static_cast<std::size_t>(expert.attributes()), "");
  names.gate_inputs.assign(static_cast<std::size_t>(model.gate.inputs()), "");
  return names;
}

template <class Visit>
void visit_values(const MixtureModel& model, const ModelNames& names, Visit&& visit) {
  for (std::size_t k = 0; k < model.experts.size(); ++k) {
    const ExpertReport report = expert_report(model.experts[k], names);
    const std::string part = fmt::format("expert {}", k + 1);
    for (const NamedValue& value : report.coefficients) visit(part, value);
    for (const NamedValue& value : report.noise) visit(part, value);
  }
  for (int k = 0; k < model.gate.experts(); ++k) {
    const std::vector<NamedValue> block = gate_report(model.gate, k, names);
    const std::string part = fmt::format("gate {}", k + 1);
    for (std::size_t i = 0; i < block.size(); ++i)
      if (!model.gate.pinned(static_cast<Eigen::Index>(k) * model.gate.block_size() + static_cast<Eigen::Index>(i)))
        visit(part, block[i]);
  }
  const std::vector<NamedValue> shared = shared_gate_report(model.gate, names);
  const Eigen::Index first = model.gate.parameters().size() - model.gate.shared_size();
  for (std::size_t i = 0; i < shared.size(); ++i)
    if (!model.gate.pinned(first + static_cast<Eigen::Index>(i))) visit(std::string("gate"), shared[i]);
  if (model.has_noise) visit(std::string("noise"), NamedValue{"weight", model.noise_weight, 0});
}

}  // namespace

std::vector<ValueName> model_value_names(const MixtureModel& model, const ModelNames& names) {
  std::vector<ValueName> result;
  visit_values(model, names, [&](const std::string& part, const NamedValue& value) {
    result.push_back({part, value.name});
  });
  return result;
}

Vector model_values(const MixtureModel& model) {
  std::vector<double> values;
  visit_values(model, anonymous(model),
               [&](const std::string&, const NamedValue& value) { values.push_back(value.value); });
  return Eigen::Map<const Vector>(values.data(), static_cast<Eigen::Index>(values.size()));
}

std::vector<bool> fixed_values(const MixtureModel& model) {
  // Numbers that do not move when a fixed parameter does not: move each fixed one and see which number it is.
  const Vector at = model_values(model);
  std::vector<bool> fixed(static_cast<std::size_t>(at.size()), false);
  for (const FixedParameter& f : model.constraints.fixed) {
    MixtureModel moved = model;
    double& parameter =
        f.in_gate ? moved.gate.parameters()(static_cast<Eigen::Index>(f.expert) * moved.gate.block_size() + f.parameter)
                  : moved.experts[static_cast<std::size_t>(f.expert)].parameters()(f.parameter);
    parameter += 0.5;
    const Vector values = model_values(moved);
    for (Eigen::Index i = 0; i < at.size(); ++i)
      if (values(i) != at(i)) fixed[static_cast<std::size_t>(i)] = true;
  }
  return fixed;
}

}  // namespace clearway
