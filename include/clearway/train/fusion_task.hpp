// Prepared multimodal samples as tensors, the task of learning a fusion model from them, and its predictions.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clearway/deep/fusion_model.hpp"
#include "clearway/fusion/prepared.hpp"
#include "clearway/train/fusion_options.hpp"
#include "clearway/train/task.hpp"

namespace clearway::train {

/// All samples of a set in memory.
class FusionTensors {
 public:
  explicit FusionTensors(const fusion::PreparedData& data);

  std::int64_t samples() const { return present_.size(0); }
  /// n x M, 1 where a modality is there.
  const torch::Tensor& present() const { return present_; }
  /// n or n x outputs, as in fusion::PreparedTarget; undefined without labels.
  const torch::Tensor& target() const { return target_; }
  const std::vector<fusion::ModalityShape>& shapes() const { return shapes_; }

  /// The samples of these row numbers (int64). `present`, if given, replaces what is there: rows x M.
  deep::FusionBatch batch(const torch::Tensor& rows, const torch::Tensor& present = {}) const;

 private:
  std::vector<fusion::ModalityShape> shapes_;
  std::vector<deep::ModalityBatch> modalities_;
  std::vector<char> shared_times_;
  torch::Tensor present_, target_;
};

/// Numbers that a model puts out for a target: its outputs, and for regression a log standard deviation each.
std::int64_t model_outputs(const fusion::PreparedTarget& target);

/// Mean negative log-likelihood of a batch: Bernoulli, categorical, Bernoulli per known label, or normal.
/// output B x model_outputs; target as in FusionTensors::target().
torch::Tensor fusion_loss(fusion::TargetKind kind, const torch::Tensor& output, const torch::Tensor& target);

/// Raw outputs for rows, in evaluation mode, in parts of `at_once` samples: rows x model_outputs. `visit` sees every part's
/// row numbers and result.
torch::Tensor fusion_outputs(deep::FusionModel& model, const FusionTensors& samples, const torch::Tensor& rows,
                             const torch::Tensor& present = {}, std::int64_t at_once = 512,
                             const std::function<void(const torch::Tensor&, const deep::FusionResult&)>& visit = {});

class FusionTask : public TrainingTask {
 public:
  /// `train` and `valid` are row numbers.
  FusionTask(std::shared_ptr<deep::FusionModel> model, const FusionTensors& samples, fusion::TargetKind kind,
             const std::vector<std::int64_t>& train, const std::vector<std::int64_t>& valid,
             const FusionTrainingOptions& options, std::uint64_t seed);

  torch::nn::Module& model() override { return *model_; }
  PartLoss part_loss(const BatchPart& part) override;
  Scalars evaluate() override;
  std::string metric() const override;
  bool larger_is_better() const override { return options_.choose == FusionChoice::score; }
  Scalars diagnose() override;

  std::int64_t steps_per_epoch() const;
  /// Puts back the weights of the best evaluation so far.
  void restore_best();

 private:
  torch::Tensor rows_of_step(std::int64_t step);

  std::shared_ptr<deep::FusionModel> model_;
  const FusionTensors& samples_;
  fusion::TargetKind kind_;
  std::vector<std::int64_t> train_;
  torch::Tensor valid_;
  FusionTrainingOptions options_;
  std::uint64_t seed_;
  std::int64_t order_epoch_ = -1;
  std::vector<std::size_t> order_;
  std::vector<torch::Tensor> best_;
  std::optional<double> best_value_;
  std::vector<torch::Tensor> last_weights_;  ///< mean gate weights per layer of the last batch, for diagnose()
};

}  // namespace clearway::train
