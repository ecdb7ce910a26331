// The learning rate against its formulas at places that can be computed by hand, and its laws.
#include "clearway/train/learning_rate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace clearway::train {
namespace {

TEST(LearningRate, ClosedForms) {
  LearningRateOptions options{.peak = 8, .warmup = 4, .schedule = RateSchedule::constant, .final_share = 0.25};
  EXPECT_EQ(learning_rate(options, 0, 13), 2.0);
  EXPECT_EQ(learning_rate(options, 3, 13), 8.0);
  EXPECT_EQ(learning_rate(options, 12, 13), 8.0);
  options.schedule = RateSchedule::linear;  // from step 4 to step 12 down to 2
  EXPECT_EQ(learning_rate(options, 1, 13), 4.0);
  EXPECT_EQ(learning_rate(options, 4, 13), 8.0);
  EXPECT_DOUBLE_EQ(learning_rate(options, 8, 13), 5.0);
  EXPECT_DOUBLE_EQ(learning_rate(options, 10, 13), 3.5);
  EXPECT_DOUBLE_EQ(learning_rate(options, 12, 13), 2.0);
  options.schedule = RateSchedule::cosine;
  EXPECT_EQ(learning_rate(options, 4, 13), 8.0);
  EXPECT_DOUBLE_EQ(learning_rate(options, 8, 13), 5.0);
  EXPECT_DOUBLE_EQ(learning_rate(options, 10, 13), 2 + 6 * (1 - 0.70710678118654752) / 2);  // cos(3 pi / 4)
  EXPECT_DOUBLE_EQ(learning_rate(options, 12, 13), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate(options, 500, 13), 2.0);  // behind the end
  options.warmup = 100;                                    // longer than the training
  EXPECT_DOUBLE_EQ(learning_rate(options, 12, 13), 8 * 13.0 / 100);
  options.warmup = 0;
  EXPECT_DOUBLE_EQ(learning_rate(options, 0, 1), 2.0);  // one step is the last step
}

RC_GTEST_PROP(LearningRate, RisesThenFallsAndStaysInItsRange, ()) {
  LearningRateOptions options;
  options.warmup = *rc::gen::inRange<std::int64_t>(0, 50);
  options.final_share = *rc::gen::inRange(0, 11) / 10.0;
  options.schedule = *rc::gen::element(RateSchedule::constant, RateSchedule::linear, RateSchedule::cosine);
  const auto total = *rc::gen::inRange<std::int64_t>(1, 200);
  for (std::int64_t step = 0; step < total; ++step) {
    const double rate = learning_rate(options, step, total);
    RC_ASSERT(rate >= 0);
    RC_ASSERT(rate <= options.peak * (1 + 1e-15));  // one rounding
    if (step == 0) continue;
    const double before = learning_rate(options, step - 1, total);
    if (step < options.warmup) RC_ASSERT(rate > before);
    if (step > options.warmup) RC_ASSERT(rate <= before * (1 + 1e-12));
    if (step >= options.warmup) RC_ASSERT(rate >= options.peak * options.final_share * (1 - 1e-12));
  }
}

}  // namespace
}  // namespace clearway::train
