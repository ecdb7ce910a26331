// The learning rate as a pure function of the step: warm-up, then constant, linear or cosine decay. No torch here.
//
// Steps count from 0. Warm-up of w steps gives peak (step + 1) / w. Then, with p = (step - w) / (total - 1 - w) in [0, 1]
// and final share f,
//   linear:  peak (1 - (1 - f) p)          cosine:  peak (f + (1 - f) (1 + cos(pi p)) / 2)
// so that the last step has exactly peak f (Loshchilov and Hutter 2017, one period).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "clearway/base/options.hpp"

namespace clearway::train {

enum class RateSchedule { constant, linear, cosine };
inline std::span<const EnumName<RateSchedule>> enum_names(RateSchedule) {
  static constexpr std::array<EnumName<RateSchedule>, 3> names{{
      {RateSchedule::constant, "constant", "the peak until the end"},
      {RateSchedule::linear, "linear", "a straight line down to the final share"},
      {RateSchedule::cosine, "cosine", "half a cosine down to the final share"},
  }};
  return names;
}

struct LearningRateOptions {
  double peak = 3e-3;
  std::int64_t warmup = 100;
  RateSchedule schedule = RateSchedule::cosine;
  double final_share = 0.1;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("learning-rate", self.peak, OptionInfo{.help = "peak learning rate", .minimum = 0, .above_minimum = true});
    field("warmup", self.warmup,
          OptionInfo{.help = "steps in which the learning rate rises to its peak", .minimum = 0, .off = "0"});
    field("schedule", self.schedule, OptionInfo{.help = "what the learning rate does behind the warm-up"});
    field("final-share", self.final_share,
          OptionInfo{.help = "share of the peak at the last step (linear and cosine)", .minimum = 0, .maximum = 1});
  }
};

/// The rate of step 0 .. total - 1; later steps have that of the last one.
double learning_rate(const LearningRateOptions& options, std::int64_t step, std::int64_t total);

}  // namespace clearway::train
