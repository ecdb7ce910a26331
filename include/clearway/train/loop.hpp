// The training loop: batches, gradients, AdamW, learning rate, metrics, checkpoints, exact resume.
//
// Training 2 N steps and training N, stopping, resuming and training N more give the same bits on a CPU: batches are
// functions of the step, and weights, optimiser, generator and the task's own state are in the checkpoint.
//
// With a communicator every process runs the same loop on its own parts of each batch. Gradients are summed over processes,
// but for those of experts that are spread (deep::SparseMixture::spread): their process has got all of theirs already, from
// the tokens that came. Process 0 writes; what it writes is what one process alone would write.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "clearway/io/run_folder.hpp"
#include "clearway/train/communicator.hpp"
#include "clearway/train/learning_rate.hpp"
#include "clearway/train/loop_options.hpp"
#include "clearway/train/task.hpp"

namespace clearway::train {

/// How the caller follows a run.
struct LoopCallbacks {
  std::function<void(double fraction, const std::string& what)> progress;
  std::function<void(std::int64_t step, const Scalars& values)> logged;  ///< every line of metrics.jsonl
  std::function<bool()> stop;  ///< asked after every step: finish, save and return
};

enum class StopReason { not_started, finished, patience, interrupted, diverged };
std::string_view to_text(StopReason reason);

/// How a run went.
struct LoopResult {
  StopReason reason = StopReason::not_started;
  std::int64_t steps = 0;            ///< finished, over all sessions
  std::int64_t session_steps = 0;    ///< finished since the last resume
  double seconds = 0;                ///< of this session, evaluations included
  double training_seconds = 0;       ///< of this session, evaluations and checkpoints left out
  std::int64_t scored = 0;           ///< tokens or rows learned from in this session, by this process
  double communication_seconds = 0;  ///< of the training seconds, spent talking to other processes or waiting for them
  double last_loss = 0;
  std::optional<double> best_metric;
  std::int64_t best_step = 0;
  Scalars last_evaluation;
};

/// Trains. `folder` gets metrics.jsonl and checkpoints/ (null: nothing is kept); with `resume` its last checkpoint is taken
/// up, and a run that is finished returns at once. `events` copies the metrics to a TensorBoard file of that path.
/// A loss or gradient that is not finite ends the run with `diverged`, and the last whole checkpoint stays.
LoopResult run_training(TrainingTask& task, const LoopOptions& options, const LearningRateOptions& rate,
                        const RunFolder* folder, bool resume, const LoopCallbacks& callbacks = {},
                        Communicator* communicator = nullptr, const std::string& events = "");

}  // namespace clearway::train
