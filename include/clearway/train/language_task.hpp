// Next-token prediction as a task of the training loop, and the measure of a text.
#pragma once

#include <memory>
#include <set>

#include "clearway/deep/transformer.hpp"
#include "clearway/train/corpus.hpp"
#include "clearway/train/task.hpp"

namespace clearway::train {

struct LanguageTaskOptions {
  std::int64_t batch = 16;  ///< sequences per step and process
  Sampling sampling = Sampling::windows;
  std::uint64_t seed = 1;
  std::int64_t evaluation_rows = 32;    ///< sequences evaluated at once
  std::int64_t evaluation_batches = 0;  ///< most batches per evaluation while training; 0: the whole text
  std::int64_t processes = 1;           ///< with more than one, set_load_reduction() must be called
};

/// Sum of -log p over a text by disjoint windows (stride = context) or overlapping ones; evaluation mode is the caller's
/// affair. `most_batches` 0 measures everything. With memory, windows are read in order as one stream.
TextScore score_text(deep::LanguageModel& model, std::span<const std::int32_t> tokens, std::int64_t rows,
                     std::int64_t stride, std::int64_t most_batches = 0,
                     const std::function<void(double)>& progress = {});

class LanguageTask : public TrainingTask {
 public:
  /// The texts must outlive the task; `valid` may have no tokens. `bits` says whether the metric is bits per token
  /// (characters) or perplexity (words).
  LanguageTask(std::shared_ptr<deep::LanguageModel> model, const EncodedText& train, const EncodedText& valid,
               const LanguageTaskOptions& options, bool bits, const torch::Device& device);

  torch::nn::Module& model() override { return *model_; }
  PartLoss part_loss(const BatchPart& part) override;
  void after_step(std::int64_t step) override;
  Scalars evaluate() override;
  std::string metric() const override { return bits_ ? "valid/bits" : "valid/perplexity"; }
  Scalars diagnose() override;
  NamedTensors extra_state() override;
  void load_extra_state(const NamedTensors& state) override;

  /// What sums a float, double or int64 tensor over processes: loads, and memories for a checkpoint.
  void set_load_reduction(std::function<void(torch::Tensor&)> reduce) { reduce_ = std::move(reduce); }

 private:
  void cut_memories(std::size_t parts);

  std::shared_ptr<deep::LanguageModel> model_;
  const EncodedText& train_;
  const EncodedText& valid_;
  LanguageTaskOptions options_;
  bool bits_;
  torch::Device device_;
  std::vector<deep::StreamMemory> memories_;      // per part of a step, for streams
  std::set<std::size_t> own_parts_;               // of which this process keeps the memory
  std::vector<torch::Tensor> step_load_;          // per sparse layer: assignments of this step
  std::vector<torch::Tensor> load_since_report_;  // the same since the last report
  std::function<void(torch::Tensor&)> reduce_;
};

}  // namespace clearway::train
