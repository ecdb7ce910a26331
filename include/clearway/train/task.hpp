// What the training loop needs to know of a model and its data: one small interface, implemented per kind of task.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <vector>

#include "clearway/io/event_file.hpp"
#include "clearway/train/tensors.hpp"

namespace clearway::train {

/// One part of a step's batch.
struct BatchPart {
  std::int64_t step = 0;   ///< from 0
  std::int64_t part = 0;   ///< from 0: over gradient accumulation and processes
  std::int64_t parts = 1;  ///< parts of the step's batch, over all processes
};

/// What a part of a batch costs.
struct PartLoss {
  torch::Tensor objective;  ///< scalar to differentiate: mean loss and auxiliary losses
  double loss = 0;          ///< the task's own mean loss
  double auxiliary = 0;     ///< auxiliary losses
  std::int64_t scored = 0;  ///< tokens or rows that were learned from
};

class TrainingTask {
 public:
  TrainingTask() = default;
  TrainingTask(const TrainingTask&) = delete;
  TrainingTask& operator=(const TrainingTask&) = delete;
  virtual ~TrainingTask() = default;

  virtual torch::nn::Module& model() = 0;
  /// Forward pass in training mode. Equal arguments give equal batches, whatever came before.
  virtual PartLoss part_loss(const BatchPart& part) = 0;
  /// Called once after every optimiser step: selection biases, schedules.
  virtual void after_step(std::int64_t step) { (void)step; }
  /// Evaluates in evaluation mode. One of the names is metric(). An empty result: nothing to evaluate on.
  virtual Scalars evaluate() = 0;
  /// What the best checkpoint is chosen by.
  virtual std::string metric() const = 0;
  virtual bool larger_is_better() const { return false; }
  /// What a line of metrics says beside loss and speed; called every `log_every` steps.
  virtual Scalars diagnose() { return {}; }
  /// What the model's parameters and buffers do not hold and an exact resume needs.
  virtual NamedTensors extra_state() { return {}; }
  virtual void load_extra_state(const NamedTensors& state) { (void)state; }
};

}  // namespace clearway::train
