#include "refit.hpp"

namespace clearway::detail {

FitOptions refit_options(const MixtureModel& model, const FitOptions& base, int data_starts, std::int64_t seed) {
  FitOptions options = base;
  options.experts = model.expert_count();
  options.gate = model.gate.spec();
  options.expert = model.experts.front().spec();
  options.expert_kinds.clear();
  for (const Expert& expert : model.experts) options.expert_kinds.push_back(expert.spec().kind);
  if (options.distinct_kinds().size() == 1) options.expert_kinds.resize(1);
  options.constraints = model.constraints;
  options.noise = model.has_noise ? NoiseKind::uniform : NoiseKind::none;
  if (options.method == FitMethod::automatic || options.method == FitMethod::spectral) options.method = FitMethod::em;
  options.starts = data_starts;
  options.polished = data_starts + 1;  // all of them, the given one included
  options.seed = seed;
  options.threads = 1;
  return options;
}

NoiseBox noise_box(const MixtureModel& model, const Data& data) {
  if (!model.has_noise) return {};
  return {data.response.colwise().minCoeff(), data.response.colwise().maxCoeff()};
}

}  // namespace clearway::detail
