#include "em_engine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "response_family.hpp"

namespace clearway::detail {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Degrees of freedom of a Student t expert lie between Cauchy and, to 1e-8 of log-likelihood per row, Gaussian.
constexpr double kSmallestNu = 1.0;
constexpr double kLargestNu = 1e8;
constexpr double kLargestShape = 1e10;
constexpr double kLargestLogit = 30.0;
constexpr double kLargestLogTemperature = 12.0;

bool shared_sigma(const MixtureModel& model) {
  return model.experts.front().has_sigma() && model.experts.front().spec().variance == VarianceKind::shared;
}

}  // namespace

ParameterMap::ParameterMap(const MixtureModel& prototype, const EngineSettings& settings) {
  const Gate& g = prototype.gate;
  std::vector<double> low, high;
  const auto add = [&](bool penalise, double lowest, double highest) {
    penalised.push_back(penalise);
    low.push_back(lowest);
    high.push_back(highest);
    return size++;
  };
  gate.assign(static_cast<std::size_t>(g.parameters().size()), -1);
  for (Eigen::Index i = 0; i < g.parameters().size(); ++i)
    if (!g.pinned(i)) {
      const double bound = g.is_log_temperature(i) ? kLargestLogTemperature : kInfinity;
      gate[static_cast<std::size_t>(i)] = add(!g.unpenalised(i), -bound, bound);
    }

  const bool shared = shared_sigma(prototype);
  const double log_floor = std::log(settings.sigma_floor);
  for (const Expert& expert : prototype.experts) {
    const auto count = static_cast<std::size_t>(expert.parameters().size());
    const ExpertKind kind = expert.spec().kind;
    const int extras = expert.responses() > 1 ? 0 : extra_count(kind);
    std::vector<int> index(count, -1);
    for (std::size_t j = 0; j < count; ++j) {
      const auto from_end = static_cast<int>(count - j);  // 1 for the last parameter
      if (kind == ExpertKind::student_t && from_end == 1)
        index[j] = add(false, std::log(kSmallestNu), std::log(kLargestNu));
      else if (kind == ExpertKind::gamma && from_end == 1)
        index[j] = add(false, -std::log(kLargestShape), std::log(kLargestShape));
      else if (from_end == extras && expert.has_sigma())
        index[j] = shared ? -1 : add(false, log_floor, kInfinity);
      else
        index[j] = add(false, -kInfinity, kInfinity);
    }
    if (expert.responses() > 1) {  // the diagonal of the covariance factor
      const int m = expert.responses();
      std::size_t at =
          count - static_cast<std::size_t>(expert.spec().covariance == CovarianceKind::full ? m * (m + 1) / 2 : m);
      for (int i = 0; i < m; ++i) {
        low[static_cast<std::size_t>(index[at])] = log_floor;
        at += expert.spec().covariance == CovarianceKind::full ? static_cast<std::size_t>(m - i) : 1;
      }
    }
    experts.push_back(std::move(index));
  }
  if (shared) {
    const int common = add(false, log_floor, kInfinity);
    for (auto& index : experts)
      for (int& i : index)
        if (i < 0) i = common;
  }
  if (prototype.has_noise) noise = add(false, -kLargestLogit, kLargestLogit);
  lower = Eigen::Map<Vector>(low.data(), static_cast<Eigen::Index>(low.size()));
  upper = Eigen::Map<Vector>(high.data(), static_cast<Eigen::Index>(high.size()));
}

Vector ParameterMap::pack(const MixtureModel& model) const {
  Vector free(size);
  for (std::size_t i = 0; i < gate.size(); ++i)
    if (gate[i] >= 0) free(gate[i]) = model.gate.parameters()(static_cast<Eigen::Index>(i));
  for (std::size_t k = 0; k < experts.size(); ++k)
    for (std::size_t j = 0; j < experts[k].size(); ++j)
      free(experts[k][j]) = model.experts[k].parameters()(static_cast<Eigen::Index>(j));
  if (noise >= 0) free(noise) = std::log(model.noise_weight) - std::log1p(-model.noise_weight);
  return free;
}

void ParameterMap::unpack(const Vector& free, MixtureModel& model) const {
  const auto value = [&](int i) { return std::clamp(free(i), lower(i), upper(i)); };
  for (std::size_t i = 0; i < gate.size(); ++i)
    model.gate.parameters()(static_cast<Eigen::Index>(i)) = gate[i] >= 0 ? value(gate[i]) : 0.0;
  for (std::size_t k = 0; k < experts.size(); ++k)
    for (std::size_t j = 0; j < experts[k].size(); ++j)
      model.experts[k].parameters()(static_cast<Eigen::Index>(j)) = value(experts[k][j]);
  if (noise >= 0) model.noise_weight = 1 / (1 + std::exp(-value(noise)));
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
