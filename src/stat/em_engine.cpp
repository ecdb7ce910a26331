#include "em_engine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "response_family.hpp"

namespace clearway::detail {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargestLogit = 30.0;
constexpr double kLargestLogTemperature = 12.0;

bool shared_sigma(const MixtureModel& model) {
  return std::all_of(model.experts.begin(), model.experts.end(),
                     [](const Expert& e) { return e.has_sigma() && e.spec().variance == VarianceKind::shared; });
}

}  // namespace

ParameterMap::ParameterMap(const MixtureModel& shape, const EngineSettings& settings) {
  const Gate& g = shape.gate;
  if (!shape.constraints.empty()) prototype = shape;
  const auto is_fixed = [&](bool in_gate, std::size_t k, std::size_t parameter) {
    return std::any_of(shape.constraints.fixed.begin(), shape.constraints.fixed.end(), [&](const FixedParameter& f) {
      return f.in_gate == in_gate && static_cast<std::size_t>(f.expert) == k &&
             static_cast<std::size_t>(f.parameter) == parameter;
    });
  };
  std::vector<double> low, high;
  const auto add = [&](bool penalise, double lowest, double highest) {
    penalised.push_back(penalise);
    low.push_back(lowest);
    high.push_back(highest);
    return size++;
  };
  gate.assign(static_cast<std::size_t>(g.parameters().size()), -1);
  fixed_gate.assign(gate.size(), false);
  for (Eigen::Index i = 0; i < g.parameters().size(); ++i) {
    if (g.pinned(i)) continue;
    const auto at = static_cast<std::size_t>(i), block = static_cast<std::size_t>(g.block_size());
    fixed_gate[at] = block > 0 && is_fixed(true, at / block, at % block);
    const double bound = g.is_log_temperature(i) ? kLargestLogTemperature : kInfinity;
    if (!fixed_gate[at]) gate[at] = add(!g.unpenalised(i), -bound, bound);
  }

  const bool shared = shared_sigma(shape);
  const double log_floor = std::log(settings.sigma_floor);
  for (std::size_t k = 0; k < shape.experts.size(); ++k) {
    const Expert& expert = shape.experts[k];
    const auto count = static_cast<std::size_t>(expert.parameters().size());
    const ExpertKind kind = expert.spec().kind;
    const auto extras = expert.responses() > 1 ? std::span<const ExtraParameter>() : extra_parameters(kind);
    std::vector<int> index(count, -1);
    // Covariances that the experts have in common follow from everything else (parsimonious_covariance.hpp).
    const int m = expert.responses();
    const bool diagonal = is_diagonal(expert.spec().covariance);
    const std::size_t covariance = m == 1 ? 0 : static_cast<std::size_t>(diagonal ? m : m * (m + 1) / 2);
    const bool dependent = m > 1 && is_parsimonious(expert.spec().covariance);
    for (std::size_t j = 0; j < count - (dependent ? covariance : 0); ++j) {
      if (is_fixed(false, k, j)) continue;
      if (k > 0 && shape.constraints.is_shared(static_cast<int>(j))) {
        index[j] = experts.front()[j];
        continue;
      }
      if (j + extras.size() < count) {
        index[j] = add(false, -kInfinity, kInfinity);
        continue;
      }
      const ExtraParameter& extra = extras[j + extras.size() - count];
      if (extra.is_scale)
        index[j] = shared ? -1 : add(false, log_floor, kInfinity);
      else
        index[j] = add(false, extra.lower, extra.upper);
    }
    if (m > 1 && !dependent) {  // the diagonal of the covariance factor
      std::size_t at = count - covariance;
      for (int i = 0; i < m; ++i) {
        low[static_cast<std::size_t>(index[at])] = log_floor;
        at += diagonal ? 1 : static_cast<std::size_t>(m - i);
      }
    }
    experts.push_back(std::move(index));
  }
  if (shared) {
    const int common = add(false, log_floor, kInfinity);
    for (std::size_t k = 0; k < experts.size(); ++k) {
      const std::size_t place = experts[k].size() - static_cast<std::size_t>(extra_count(shape.experts[k].spec().kind));
      if (!is_fixed(false, k, place)) experts[k][place] = common;
    }
  }
  if (shape.has_noise) noise = add(false, -kLargestLogit, kLargestLogit);
  lower = Eigen::Map<Vector>(low.data(), static_cast<Eigen::Index>(low.size()));
  upper = Eigen::Map<Vector>(high.data(), static_cast<Eigen::Index>(high.size()));
}

Vector ParameterMap::pack(const MixtureModel& model) const {
  Vector free(size);
  for (std::size_t i = 0; i < gate.size(); ++i)
    if (gate[i] >= 0) free(gate[i]) = model.gate.parameters()(static_cast<Eigen::Index>(i));
  for (std::size_t k = 0; k < experts.size(); ++k)
    for (std::size_t j = 0; j < experts[k].size(); ++j)
      if (experts[k][j] >= 0) free(experts[k][j]) = model.experts[k].parameters()(static_cast<Eigen::Index>(j));
  if (noise >= 0) free(noise) = std::log(model.noise_weight) - std::log1p(-model.noise_weight);
  return free;
}

void ParameterMap::unpack(const Vector& free, MixtureModel& model) const {
  const auto value = [&](int i) { return std::clamp(free(i), lower(i), upper(i)); };
  for (std::size_t i = 0; i < gate.size(); ++i)
    if (!fixed_gate[i]) model.gate.parameters()(static_cast<Eigen::Index>(i)) = gate[i] >= 0 ? value(gate[i]) : 0.0;
  for (std::size_t k = 0; k < experts.size(); ++k)
    for (std::size_t j = 0; j < experts[k].size(); ++j)
      if (experts[k][j] >= 0) model.experts[k].parameters()(static_cast<Eigen::Index>(j)) = value(experts[k][j]);
  if (noise >= 0) model.noise_weight = 1 / (1 + std::exp(-value(noise)));
}

void ParameterMap::project(MixtureModel& model) const {
  for (const FixedParameter& f : prototype.constraints.fixed) {
    const auto k = static_cast<std::size_t>(f.expert);
    if (f.in_gate)
      model.gate.block(f.expert)(f.parameter) = prototype.gate.block(f.expert)(f.parameter);
    else
      model.experts[k].parameters()(f.parameter) = prototype.experts[k].parameters()(f.parameter);
  }
  for (int place : prototype.constraints.shared) {
    double mean = 0;
    for (const Expert& expert : model.experts) mean += expert.parameters()(place);
    mean /= static_cast<double>(model.experts.size());
    for (Expert& expert : model.experts) expert.parameters()(place) = mean;
  }
}

double gate_penalty(const Gate& gate, const ParameterMap& map, double ridge) {
  if (ridge == 0) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < map.gate.size(); ++i)
    if (map.gate[i] >= 0 && map.penalised[static_cast<std::size_t>(map.gate[i])]) {
      const double value = gate.parameters()(static_cast<Eigen::Index>(i));
      sum += value * value;
    }
  return -0.5 * ridge * sum;
}

double EmEngine::penalty(const MixtureModel& model) const {
  return gate_penalty(model.gate, map_, settings_.gate_ridge * total_weight_);
}

}  // namespace clearway::detail
