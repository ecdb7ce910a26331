// Checkpoints of a run: all that is needed to go on as if nothing had happened.
//
//   checkpoints/step-00001000/   model.safetensors, optimizer.safetensors, state.json
//   checkpoints/last -> step-00001000        checkpoints/best -> step-00000800
//
// A checkpoint is written beside, synced, and renamed; then the link is replaced by a rename. A crash at any place leaves
// `last` and `best` at whole checkpoints, and the next save() removes what it left half done.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "clearway/io/json.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/train/tensors.hpp"

namespace clearway::train {

/// Everything beside tensors.
struct TrainingState {
  std::int64_t step = 0;              ///< finished steps
  std::int64_t data_position = 0;     ///< where the data goes on: the next batch
  std::optional<double> best_metric;  ///< smaller or larger is better: the caller's affair
  std::int64_t best_step = 0;
  std::map<std::string, std::string> generators;  ///< raw states of random generators by name
  Json more = Json::object();                     ///< whatever else the caller needs
};

struct Checkpoint {
  NamedTensors model;
  NamedTensors optimizer;
  TrainingState state;
};

class CheckpointFolder {
 public:
  explicit CheckpointFolder(const RunFolder& run);

  /// Saves under `last`, with `best` under both names; checkpoints that no name points to are removed.
  void save(const Checkpoint& checkpoint, bool best);
  /// Whether "last" or "best" is there.
  bool has(std::string_view which) const;
  /// Throws std::invalid_argument when it is not there or damaged.
  Checkpoint load(std::string_view which) const;
  /// The model alone, for evaluation.
  NamedTensors load_model(std::string_view which) const;
  TrainingState load_state(std::string_view which) const;
  /// The path of a file of a checkpoint: file("best", "model.safetensors").
  std::string file(std::string_view which, std::string_view name) const;

 private:
  std::string path_;
};

/// The state of torch's generator on the CPU, as bytes.
std::string torch_generator_state();
/// Throws std::invalid_argument for bytes of another length.
void set_torch_generator_state(std::string_view bytes);

}  // namespace clearway::train
