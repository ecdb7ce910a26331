// Budgets of the study of routers, and its table.
#include "clearway/train/study_collapse.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace clearway::train {
namespace {

// No other number of steps comes nearer to the budget; one step is the least.
RC_GTEST_PROP(StudyBudget, StepsTimesCostIsTheBudgetWithinHalfAStep, ()) {
  const auto steps = *rc::gen::inRange<std::int64_t>(1, 100000);
  const double reference = *rc::gen::inRange(1, 10000) / 64.0, cost = *rc::gen::inRange(1, 10000) / 64.0;
  const std::int64_t own = steps_of_equal_cost(steps, reference, cost);
  const double budget = static_cast<double>(steps) * reference, spent = static_cast<double>(own) * cost;
  RC_ASSERT(own >= 1);
  if (own > 1) RC_ASSERT(std::abs(spent - budget) <= 0.5 * cost * (1 + 1e-12));
  if (own == 1) RC_ASSERT(spent - budget >= -0.5 * cost);
}

// Seconds of a clock: 12 ms a step for the first router, 5 ms and 31 ms for others.
TEST(StudyBudget, SecondsBecomeSteps) {
  EXPECT_EQ(steps_of_equal_cost(1000, 0.012, 0.012), 1000);
  EXPECT_EQ(steps_of_equal_cost(1000, 0.012, 0.005), 2400);
  EXPECT_EQ(steps_of_equal_cost(1000, 0.012, 0.031), 387);  // 12 s / 31 ms = 387.1
  EXPECT_EQ(steps_of_equal_cost(1, 0.001, 10), 1);
}

// A clock too coarse for a short run says 0: that is no reason to train for ever.
TEST(StudyBudget, RefusesACostOfNothing) {
  EXPECT_THROW(steps_of_equal_cost(1000, 0.012, 0), std::runtime_error);
  EXPECT_THROW(steps_of_equal_cost(1000, 0, 0.012), std::runtime_error);
  EXPECT_THROW(steps_of_equal_cost(1000, std::nan(""), 0.012), std::runtime_error);
}

}  // namespace
}  // namespace clearway::train
