#include "clearway/train/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace clearway::train {

double learning_rate(const LearningRateOptions& options, std::int64_t step, std::int64_t total) {
  const std::int64_t last = std::max<std::int64_t>(total - 1, 0);
  const std::int64_t at = std::min(step, last);
  const std::int64_t warmup = options.warmup;
  if (at < warmup) return options.peak * static_cast<double>(at + 1) / static_cast<double>(warmup);
  const double done = last > warmup ? static_cast<double>(at - warmup) / static_cast<double>(last - warmup) : 1.0;
  const double share = options.final_share;
  switch (options.schedule) {
    case RateSchedule::constant:
      return options.peak;
    case RateSchedule::linear:
      return options.peak * (1 - (1 - share) * done);
    case RateSchedule::cosine:
      return options.peak * (share + (1 - share) * (1 + std::cos(std::numbers::pi * done)) / 2);
  }
  return options.peak;
}

}  // namespace clearway::train
