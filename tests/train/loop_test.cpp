// The loop's promises: exact resume, learning, agreement of accumulation with one large batch, a clean end when diverging.
#include "clearway/train/loop.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rehearsal.hpp"

namespace clearway::train {
using namespace testing_rehearsal;  // NOLINT(google-build-using-namespace)
namespace {

TEST(Loop, ResumesToTheSameBits) {
  for (const bool streams : {false, true}) {
    const TemporaryFolder place;
    Rehearsal rehearsal;
    rehearsal.shape.dropout = 0.1;  // the generator's state matters
    if (streams) {
      rehearsal.data.sampling = Sampling::streams;
      rehearsal.shape.positions = deep::Positions::rotary;
      rehearsal.shape.memory = 16;
    }
    const RunFolder whole = new_run(place, "whole"), parts = new_run(place, "parts");
    const NamedTensors once = rehearsal.run(&whole, false);
    EXPECT_EQ(rehearsal.result.reason, StopReason::finished);
    int asked = 0;
    LoopCallbacks stop_after_five;
    stop_after_five.stop = [&] { return ++asked == 5; };
    rehearsal.run(&parts, false, stop_after_five);
    EXPECT_EQ(rehearsal.result.reason, StopReason::interrupted);
    EXPECT_EQ(rehearsal.result.steps, 5);
    torch::manual_seed(99);  // another process would not have our generator
    const NamedTensors twice = rehearsal.run(&parts, true);
    EXPECT_EQ(rehearsal.result.steps, 12);
    EXPECT_EQ(rehearsal.result.session_steps, 7);
    expect_same_bits(once, twice);
    EXPECT_EQ(CheckpointFolder(whole).load_state("last").best_step,
              CheckpointFolder(parts).load_state("last").best_step);
  }
}

// Entropy of the source: 1 bit per letter. 150 steps bring a model of 16 units from 3 bits to within 0.25 of it.
TEST(Loop, LearnsASource) {
  Rehearsal rehearsal;
  rehearsal.loop.steps = 150;
  rehearsal.loop.evaluate_every = 150;
  rehearsal.run(nullptr, false);
  EXPECT_EQ(rehearsal.result.last_evaluation.at(1).first, "valid/bits");
  EXPECT_LT(rehearsal.result.last_evaluation.at(1).second, 1.25);
  EXPECT_GT(rehearsal.result.last_evaluation.at(1).second, 0.98);
}

// Parts have their own balance loss, which is not linear in the batch, so it is off here; float sums in another order.
TEST(Loop, AccumulationEqualsOneBatch) {
  Rehearsal rehearsal;
  rehearsal.mixture.router.balance = 0;
  rehearsal.loop.steps = 3;
  const NamedTensors whole = rehearsal.run(nullptr, false);
  rehearsal.loop.accumulate = 4;
  const NamedTensors parts = rehearsal.run(nullptr, false);
  for (const auto& [name, tensor] : whole)
    EXPECT_LT((tensor - parts.at(name)).abs().max().item<double>(), 2e-4) << name;
}

TEST(Loop, EndsWhenItDiverges) {
  const TemporaryFolder place;
  Rehearsal rehearsal;
  rehearsal.rate.peak = 1e30;
  rehearsal.loop.clip = 0;
  const RunFolder folder = new_run(place, "run");
  rehearsal.run(&folder, false);
  EXPECT_EQ(rehearsal.result.reason, StopReason::diverged);
  EXPECT_LT(rehearsal.result.steps, 12);
}

TEST(Loop, PatienceEndsARunThatGetsNoBetter) {
  Rehearsal rehearsal;
  rehearsal.rate.peak = 1e-12;
  rehearsal.rate.warmup = 0;
  rehearsal.loop.steps = 60;
  rehearsal.loop.evaluate_every = 2;
  rehearsal.loop.patience = 3;
  rehearsal.run(nullptr, false);
  EXPECT_EQ(rehearsal.result.reason, StopReason::patience);
  EXPECT_LT(rehearsal.result.steps, 60);
}

}  // namespace
}  // namespace clearway::train
