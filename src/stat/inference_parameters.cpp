#include "inference_parameters.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/parallel.hpp"

namespace clearway {

using Eigen::Index;

Vector model_parameters(const MixtureModel& model) {
  Index size = model.gate.parameters().size() + (model.has_noise ? 1 : 0);
  for (const Expert& expert : model.experts) size += expert.parameters().size();
  Vector stacked(size);
  Index at = model.gate.parameters().size();
  stacked.head(at) = model.gate.parameters();
  for (const Expert& expert : model.experts) {
    stacked.segment(at, expert.parameters().size()) = expert.parameters();
    at += expert.parameters().size();
  }
  if (model.has_noise) stacked(at) = std::log(model.noise_weight) - std::log1p(-model.noise_weight);
  return stacked;
}

void set_model_parameters(const Vector& parameters, MixtureModel& model) {
  Index at = model.gate.parameters().size();
  model.gate.parameters() = parameters.head(at);
  for (Expert& expert : model.experts) {
    expert.parameters() = parameters.segment(at, expert.parameters().size());
    at += expert.parameters().size();
  }
  if (model.has_noise) model.noise_weight = 1 / (1 + std::exp(-parameters(at)));
}

namespace detail {
namespace {

Vector flat_report(const Expert& expert, const ModelNames& names) {
  const ExpertReport report = expert_report(expert, names);
  Vector values(static_cast<Index>(report.coefficients.size() + report.noise.size()));
  Index at = 0;
  for (const auto* list : {&report.coefficients, &report.noise})
    for (const NamedValue& value : *list) values(at++) = value.value;
  return values;
}

// One parameter of the gate: of the block of an expert, or (expert -1) of what all experts share.
struct GateEntry {
  int expert;
  std::string label, name;
};

std::vector<GateEntry> gate_entries(const Gate& gate, const ModelNames& names) {
  std::vector<GateEntry> entries;
  if (gate.block_size() > 0)
    for (int k = 0; k < gate.experts(); ++k)
      for (const NamedValue& value : gate_report(gate, k, names))
        entries.push_back({k, value.name, fmt::format("gate {}: {}", k + 1, value.name)});
  for (const std::string& label : gate.shared_names(names.gate_inputs))
    entries.push_back({-1, label, "gate: " + label});
  return entries;
}

IntervalScale spread_scale(const std::string& label) {
  return label.starts_with("cor(") ? IntervalScale::fisher : IntervalScale::log;
}

}  // namespace

Index stacked_offset(const MixtureModel& model, std::size_t k) {
  Index at = model.gate.parameters().size();
  for (std::size_t j = 0; j < k; ++j) at += model.experts[j].parameters().size();
  return at;
}

Matrix numeric_jacobian(const std::function<Vector(const Vector&)>& function, const Vector& point,
                        const Vector& steps) {
  const Vector centre = function(point);
  Matrix jacobian = Matrix::Zero(centre.size(), point.size());
  Vector moved = point;
  for (Index i = 0; i < point.size(); ++i) {
    if (!(steps(i) > 0)) continue;
    const auto slope = [&](double h) -> Vector {
      moved(i) = point(i) + h;
      const double high = moved(i);
      const Vector up = function(moved);
      moved(i) = point(i) - h;
      const double low = moved(i);
      const Vector down = function(moved);
      moved(i) = point(i);
      return (up - down) / (high - low);
    };
    const Vector coarse = slope(steps(i));
    const Vector fine = slope(0.5 * steps(i));
    jacobian.col(i) = (4 * fine - coarse) / 3;
  }
  return jacobian;
}

Matrix stacked_from_free(const MixtureModel& standard, const ParameterMap& map, const Scaling& scaling) {
  const auto steps_of = [](const Vector& theta) -> Vector { return 1e-3 * theta.array().abs().max(1.0); };
  Matrix result = Matrix::Zero(model_parameters(standard).size(), map.size);
  const auto place = [&](Index row, const Matrix& jacobian, const std::vector<int>& free) {
    for (std::size_t i = 0; i < free.size(); ++i)
      if (free[i] >= 0) result.col(free[i]).segment(row, jacobian.rows()) += jacobian.col(static_cast<Index>(i));
  };
  Gate gate = standard.gate;
  place(0,
        numeric_jacobian(
            [&](const Vector& theta) {
              gate.parameters() = theta;
              return Vector(gate.on_raw_scale(scaling.gate_centre, scaling.gate_scale).parameters());
            },
            standard.gate.parameters(), steps_of(standard.gate.parameters())),
        map.gate);
  for (std::size_t k = 0; k < standard.experts.size(); ++k) {
    Expert expert = standard.experts[k];
    const auto to_raw = [&](const Vector& theta) {
      expert.parameters() = theta;
      return Vector(expert
                        .on_raw_scale(scaling.expert_centre, scaling.expert_scale, scaling.response_centre,
                                      scaling.response_scale)
                        .parameters());
    };
    const Vector& theta = standard.experts[k].parameters();
    place(stacked_offset(standard, k), numeric_jacobian(to_raw, theta, steps_of(theta)), map.experts[k]);
  }
  if (standard.has_noise && map.noise >= 0) result(result.rows() - 1, map.noise) = 1;
  return result;
}

std::vector<std::string> stacked_names(const MixtureModel& model, const ModelNames& names) {
  std::vector<std::string> result;
  for (const GateEntry& entry : gate_entries(model.gate, names)) result.push_back(entry.name);
  for (std::size_t k = 0; k < model.experts.size(); ++k) {
    const Expert& expert = model.experts[k];
    const bool classes = has_classes(expert.spec().kind);
    for (const std::string& label :
         expert.parameter_names(names.expert_inputs, classes ? names.classes : names.responses))
      result.push_back(fmt::format("expert {}: {}", k + 1, label));
  }
  if (model.has_noise) result.emplace_back("logit(noise weight)");
  return result;
}

ReportedParameters reported_parameters(const MixtureModel& model, const ModelNames& names, const Vector& shares) {
  ReportedParameters reported;
  std::vector<double> values;
  const auto add = [&](const char* prefix, int expert, const std::string& label, double value, ParameterPart part,
                       IntervalScale scale) {
    std::string name = prefix;
    if (expert >= 0) name += fmt::format(" {}", expert + 1);
    reported.names.push_back(part == ParameterPart::share || part == ParameterPart::noise ? name : name + ": " + label);
    reported.labels.push_back(label);
    reported.parts.push_back(part);
    reported.experts.push_back(expert);
    reported.scales.push_back(scale);
    values.push_back(value);
  };
  for (int k = 0; k < model.expert_count(); ++k) {
    const ExpertReport report = expert_report(model.experts[static_cast<std::size_t>(k)], names);
    for (const NamedValue& value : report.coefficients)
      add("expert", k, value.name, value.value, ParameterPart::expert, IntervalScale::identity);
    for (const NamedValue& value : report.noise)
      add("expert", k, value.name, value.value, ParameterPart::spread, spread_scale(value.name));
  }
  if (model.gate.experts() > 1) {
    const std::vector<GateEntry> entries = gate_entries(model.gate, names);
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (!model.gate.pinned(static_cast<Index>(i)))
        add("gate", entries[i].expert, entries[i].label, model.gate.parameters()(static_cast<Index>(i)),
            ParameterPart::gate, IntervalScale::identity);
  }
  if (model.has_noise)
    add("noise weight", -1, "noise weight", model.noise_weight, ParameterPart::noise, IntervalScale::logit);
  for (Index k = 0; k < shares.size(); ++k)
    add("share", static_cast<int>(k), "share", shares(k), ParameterPart::share, IntervalScale::logit);
  reported.values = Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
  return reported;
}

Shares gate_shares(const MixtureModel& model, const Data& data, int threads) {
  const Index n = data.rows(), k = model.expert_count(), size = model.gate.parameters().size();
  constexpr Index kRows = 2048;
  const Index blocks = (n + kRows - 1) / kRows;
  std::vector<Vector> weights(static_cast<std::size_t>(blocks));
  std::vector<Matrix> slopes(static_cast<std::size_t>(blocks));
  parallel_for(static_cast<std::size_t>(blocks), n > 8192 ? threads : 1, [&](std::size_t b) {
    const Index begin = static_cast<Index>(b) * kRows, count = std::min(kRows, n - begin);
    const Matrix x = data.gate_inputs.middleRows(begin, count);
    const Vector w = data.weights.size() ? Vector(data.weights.segment(begin, count)) : Vector::Ones(count);
    weights[b] = model.gate.log_weights(x).array().exp().matrix().transpose() * w;
    slopes[b] = Matrix::Zero(k, size);
    if (size == 0) return;
    Matrix pick = Matrix::Zero(count, k);
    for (Index j = 0; j < k; ++j) {
      pick.col(j).setOnes();
      slopes[b].row(j) = w.transpose() * model.gate.combination_jacobian(x, pick);
      pick.col(j).setZero();
    }
  });
  const double total = data.weights.size() ? data.weights.sum() : static_cast<double>(n);
  const double kept = 1 - (model.has_noise ? model.noise_weight : 0.0);
  Shares shares{Vector::Zero(k), Matrix::Zero(k, model_parameters(model).size())};
  for (Index b = 0; b < blocks; ++b) {
    shares.values += weights[static_cast<std::size_t>(b)];
    shares.jacobian.leftCols(size) += slopes[static_cast<std::size_t>(b)];
  }
  shares.values *= kept / total;
  shares.jacobian *= kept / total;
  if (model.has_noise) shares.jacobian.rightCols(1) = -model.noise_weight * shares.values;
  return shares;
}

Matrix reported_from_stacked(const MixtureModel& model, const ModelNames& names, const Shares& shares,
                             const Vector& steps) {
  std::vector<Matrix> blocks;
  blocks.reserve(model.experts.size());
  Index rows = 0;
  for (std::size_t k = 0; k < model.experts.size(); ++k) {
    Expert expert = model.experts[k];
    const Vector& theta = model.experts[k].parameters();
    blocks.push_back(numeric_jacobian(
        [&](const Vector& point) {
          expert.parameters() = point;
          return flat_report(expert, names);
        },
        theta, steps.segment(stacked_offset(model, k), theta.size())));
    rows += blocks.back().rows();
  }
  std::vector<Index> gate;
  if (model.gate.experts() > 1)
    for (Index i = 0; i < model.gate.parameters().size(); ++i)
      if (!model.gate.pinned(i)) gate.push_back(i);
  const Index noise = model.has_noise ? 1 : 0;
  Matrix result = Matrix::Zero(rows + static_cast<Index>(gate.size()) + noise + shares.values.size(), steps.size());
  Index row = 0;
  for (std::size_t k = 0; k < blocks.size(); ++k) {
    result.block(row, stacked_offset(model, k), blocks[k].rows(), blocks[k].cols()) = blocks[k];
    row += blocks[k].rows();
  }
  for (const Index i : gate) result(row++, i) = 1;
  if (model.has_noise) result(row++, steps.size() - 1) = model.noise_weight * (1 - model.noise_weight);
  result.bottomRows(shares.values.size()) = shares.jacobian;
  return result;
}

std::pair<double, double> interval(double estimate, double error, double quantile, IntervalScale scale) {
  const double reach = quantile * error;
  switch (scale) {
    case IntervalScale::identity:
      break;
    case IntervalScale::log: {
      const double factor = std::exp(reach / estimate);
      return {estimate / factor, estimate * factor};
    }
    case IntervalScale::logit: {
      const double centre = std::log(estimate) - std::log1p(-estimate);
      const double half = reach / (estimate * (1 - estimate));
      return {1 / (1 + std::exp(half - centre)), 1 / (1 + std::exp(-half - centre))};
    }
    case IntervalScale::fisher: {
      const double centre = std::atanh(estimate), half = reach / (1 - estimate * estimate);
      return {std::tanh(centre - half), std::tanh(centre + half)};
    }
  }
  return {estimate - reach, estimate + reach};
}

}  // namespace detail
}  // namespace clearway
