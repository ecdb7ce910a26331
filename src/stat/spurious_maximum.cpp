#include "spurious_maximum.hpp"

#include <algorithm>

#include "clearway/base/text.hpp"

namespace clearway::detail {

void warn_of_spurious_maximum(FitResult& result) {
  constexpr double kSmall = 0.05, kFewShare = 0.1, kFewPerParameter = 10;
  if (result.reason == StopReason::degenerate) return;  // said already
  const std::vector<Expert>& experts = result.model.experts;
  double largest = 0;
  for (const Expert& expert : experts)
    if (expert.has_sigma()) largest = std::max(largest, expert.sigma());
  for (std::size_t j = 0; j < experts.size(); ++j) {
    if (!experts[j].has_sigma() || !(experts[j].sigma() < kSmall * largest)) continue;
    const double rows = result.shares(static_cast<Eigen::Index>(j)) * result.effective_rows;
    const auto parameters = static_cast<double>(experts[j].parameters().size());
    if (rows > std::max(kFewShare * result.effective_rows, kFewPerParameter * parameters)) continue;
    result.warnings.push_back(fmt::format(
        "Expert {} fits {:.3g} rows almost exactly: its noise level is {:.3g} times smaller than the largest. "
        "That may be an accident of a few rows (a spurious maximum) and no regime; compare with fewer "
        "experts, --variance shared or a higher --sigma-floor.",
        j + 1, rows, largest / experts[j].sigma()));
  }
}

}  // namespace clearway::detail
