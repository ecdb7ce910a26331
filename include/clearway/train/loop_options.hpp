// How long and how a run trains. No torch in this header.
#pragma once

#include <cstdint>

#include "clearway/base/options.hpp"

namespace clearway::train {

struct LoopOptions {
  std::int64_t steps = 1000;
  std::int64_t batch = 16;
  std::int64_t accumulate = 1;
  double clip = 1;
  double weight_decay = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  std::int64_t evaluate_every = 250;
  std::int64_t log_every = 20;
  std::int64_t patience = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("steps", self.steps, OptionInfo{.help = "optimiser steps", .minimum = 1});
    field("batch", self.batch, OptionInfo{.help = "sequences per step and process", .minimum = 1});
    field("accumulate", self.accumulate,
          OptionInfo{.help = "parts into which the batch of a step is cut, one after another, to save memory",
                     .minimum = 1,
                     .off = "1"});
    field("clip", self.clip,
          OptionInfo{.help = "largest norm of the whole gradient; 0: not clipped", .minimum = 0, .off = "0"});
    field("weight-decay", self.weight_decay,
          OptionInfo{.help = "decoupled weight decay of matrices (AdamW)", .minimum = 0, .off = "0"});
    field("beta1", self.beta1,
          OptionInfo{.help = "AdamW: decay of the mean gradient", .minimum = 0, .maximum = 0.99999});
    field("beta2", self.beta2,
          OptionInfo{.help = "AdamW: decay of the mean squared gradient", .minimum = 0, .maximum = 0.999999});
    field("epsilon", self.epsilon, OptionInfo{.help = "AdamW: added to the root", .minimum = 0, .above_minimum = true});
    field("evaluate-every", self.evaluate_every,
          OptionInfo{.help = "steps between evaluations, each followed by a checkpoint", .minimum = 1});
    field("log-every", self.log_every, OptionInfo{.help = "steps between lines of metrics.jsonl", .minimum = 1});
    field(
        "patience", self.patience,
        OptionInfo{.help = "stop after so many evaluations without a better one; 0: never", .minimum = 0, .off = "0"});
  }
};

}  // namespace clearway::train
