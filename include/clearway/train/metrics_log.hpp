// The record of a training run: metrics.jsonl, one object per line, and a copy for TensorBoard. No torch here.
//
//     {"step":100,"time":1700000000.5,"train/loss":2.31,"valid/bits_per_character":null}
// `step` counts finished steps, `time` is in seconds since 1970, a value that is not finite is null.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "clearway/io/event_file.hpp"
#include "clearway/io/file.hpp"

namespace clearway::train {

class MetricsLog {
 public:
  /// Opens or makes the file. Lines of steps after `resumed_step` and a torn last line are cut, so that a resumed run
  /// leaves the record of an uninterrupted one; a new run has resumed_step 0. `events` is the path of the copy for
  /// TensorBoard, which is made anew from what is kept, or empty. Throws std::invalid_argument for a file of other things.
  explicit MetricsLog(std::string path, std::int64_t resumed_step = 0, const std::string& events = "");

  /// Adds the line of a step. Names are not "step" or "time".
  void write(std::int64_t step, const Scalars& values);
  void write(std::int64_t step, const Scalars& values, double seconds);

 private:
  std::string path_;
  std::unique_ptr<AppendingFile> lines_;
  std::unique_ptr<AppendingFile> events_;
};

}  // namespace clearway::train
