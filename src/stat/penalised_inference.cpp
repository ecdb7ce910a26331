// Standard errors after a penalty has chosen inputs.
#include <algorithm>
#include <numeric>

#include "clearway/base/random.hpp"
#include "clearway/stat/penalised.hpp"
#include "refit.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr int kOwnStarts = 1;               // beside the chosen model
constexpr std::uint64_t kSplitStream = 40;  // of randomness

}  // namespace

Constraints zero_slopes(const PenalisedPoint& point) {
  Constraints constraints;
  const auto add = [&](bool in_gate, const std::vector<std::vector<bool>>& support) {
    // The last block of a gate is the reference.
    const std::size_t blocks = support.empty() ? 0 : support.size() - (in_gate ? 1 : 0);
    for (std::size_t k = 0; k < blocks; ++k)
      for (std::size_t j = 0; j < support[k].size(); ++j)
        if (!support[k][j]) constraints.fixed.push_back({in_gate, static_cast<int>(k), static_cast<int>(j) + 1, 0.0});
  };
  add(true, point.gate_support);
  add(false, point.expert_support);
  return constraints;
}

FitResult refit_selected(const Data& data, const FitOptions& options, const PenalisedPoint& point) {
  MixtureModel start = point.model;
  start.constraints = zero_slopes(point);
  FitOptions own = detail::refit_options(start, options, kOwnStarts, options.seed);
  own.threads = options.threads;
  return fit(data, own, &start);
}

RowHalves random_halves(Index rows, std::int64_t seed) {
  RandomStream stream(static_cast<std::uint64_t>(seed), kSplitStream);
  RowHalves halves;
  std::vector<bool> taken(static_cast<std::size_t>(rows), false);
  for (const std::size_t i :
       stream.sample_without_replacement(static_cast<std::size_t>(rows), static_cast<std::size_t>(rows / 2)))
    taken[i] = true;
  for (Index i = 0; i < rows; ++i)
    (taken[static_cast<std::size_t>(i)] ? halves.selection : halves.inference).push_back(i);
  return halves;
}

std::string selection_caution(PenaltyInference kind) {
  if (kind == PenaltyInference::naive)
    return "Standard errors after selection are naive: they take the inputs as if they had been chosen before the data "
           "were seen. Slopes were chosen because they were large in these rows, so intervals cover less often "
           "than they say and p-values are too small (Berk et al. 2013); --penalty-inference split is valid.";
  if (kind == PenaltyInference::split)
    return "Inputs and the number of experts were chosen on one random half of the rows; estimates, standard errors "
           "and tests are those of the other half alone, which knows nothing of the choice (Cox 1975; Wasserman and "
           "Roeder 2009). They are about the chosen model.";
  return "";
}

}  // namespace clearway
