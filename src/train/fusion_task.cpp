#include "clearway/train/fusion_task.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/train/fusion_scores.hpp"
#include "clearway/train/tensor_rows.hpp"

namespace clearway::train {
namespace {

using fusion::TargetKind;

template <class T>
torch::Tensor copy_of(const std::vector<T>& numbers, at::IntArrayRef shape, at::ScalarType type) {
  std::int64_t count = 1;
  for (const std::int64_t n : shape) count *= n;
  if (count != static_cast<std::int64_t>(numbers.size()))
    user_error("prepared samples have {} numbers where their shape says {}", numbers.size(), count);
  return at::from_blob(const_cast<T*>(numbers.data()), shape, type).to(at::kFloat, false, true);
}

/// The leading score of raw outputs, where it exists.
std::optional<double> leading_score_of(TargetKind kind, const torch::Tensor& output, const torch::Tensor& target) {
  FusionPrediction prediction;
  prediction.kind = kind;
  const Matrix truth = to_matrix(target);
  switch (kind) {
    case TargetKind::binary:
    case TargetKind::multilabel:
      prediction.mean = to_matrix(output.sigmoid());
      break;
    case TargetKind::multiclass:
      prediction.mean = to_matrix(output.softmax(1));
      break;
    case TargetKind::regression:
      prediction.mean = to_matrix(output.narrow(1, 0, truth.cols()));
      break;
  }
  if (!prediction.mean.allFinite()) return std::nullopt;
  prediction.deviation = Matrix::Ones(prediction.mean.rows(), prediction.mean.cols());
  const double value =
      fusion_scores(prediction, truth).front().score(std::vector<double>(static_cast<std::size_t>(truth.rows()), 1.0));
  return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

}  // namespace

FusionTensors::FusionTensors(const fusion::PreparedData& data) {
  const std::int64_t n = data.samples();
  std::vector<torch::Tensor> present;
  for (const fusion::PreparedModality& m : data.modalities) {
    shapes_.push_back(m.shape);
    deep::ModalityBatch all;
    const bool series = fusion::is_series(m.shape.kind);
    const std::vector<std::int64_t> shape = series ? std::vector<std::int64_t>{n, m.steps, m.shape.features}
                                                   : std::vector<std::int64_t>{n, m.shape.features};
    all.values = copy_of(m.values, shape, at::kFloat);
    all.mask = copy_of(m.mask, shape, at::kByte);
    if (series) {
      all.times = m.shared_times ? copy_of(m.times, {m.steps}, at::kFloat) : copy_of(m.times, {n, m.steps}, at::kFloat);
      all.summary = copy_of(m.summary, {n, m.shape.summaries}, at::kFloat);
    }
    modalities_.push_back(std::move(all));
    shared_times_.push_back(m.shared_times);
    present.push_back(copy_of(m.present, {n}, at::kByte));
  }
  present_ = at::stack(present, 1);
  if (data.target.values.empty()) return;
  const auto width = static_cast<std::int64_t>(data.target.values.size()) / n;
  const bool flat = data.target.kind == TargetKind::binary || data.target.kind == TargetKind::multiclass;
  target_ = flat ? copy_of(data.target.values, {n}, at::kFloat) : copy_of(data.target.values, {n, width}, at::kFloat);
}

deep::FusionBatch FusionTensors::batch(const torch::Tensor& rows, const torch::Tensor& present) const {
  deep::FusionBatch out;
  for (std::size_t m = 0; m < modalities_.size(); ++m) {
    const deep::ModalityBatch& all = modalities_[m];
    deep::ModalityBatch part;
    part.values = all.values.index_select(0, rows);
    part.mask = all.mask.index_select(0, rows);
    if (all.times.defined()) part.times = shared_times_[m] != 0 ? all.times : all.times.index_select(0, rows);
    if (all.summary.defined()) part.summary = all.summary.index_select(0, rows);
    out.modalities.push_back(std::move(part));
  }
  out.present = present.defined() ? present : present_.index_select(0, rows);
  return out;
}

std::int64_t model_outputs(const fusion::PreparedTarget& target) {
  return target.kind == TargetKind::regression ? 2 * target.outputs() : target.outputs();
}

torch::Tensor fusion_loss(TargetKind kind, const torch::Tensor& output, const torch::Tensor& target) {
  switch (kind) {
    case TargetKind::binary:
      return at::binary_cross_entropy_with_logits(output.squeeze(1), target);
    case TargetKind::multiclass:
      return at::cross_entropy_loss(output, target.to(at::kLong));
    case TargetKind::multilabel: {
      const torch::Tensor known = target.isfinite();
      const torch::Tensor all =
          at::binary_cross_entropy_with_logits(output, at::nan_to_num(target, 0.0), {}, {}, at::Reduction::None);
      return (all * known).sum() / known.sum().clamp_min(1);
    }
    case TargetKind::regression: {
      const std::int64_t width = target.size(1);
      // Log standard deviations stay within e^-6 .. e^6 of the target's own.
      const torch::Tensor log_sd = output.narrow(1, width, width).clamp(-6, 6);
      const torch::Tensor residual = (target - output.narrow(1, 0, width)) * (-log_sd).exp();
      return (0.5 * residual.square() + log_sd + 0.91893853320467274178).mean();
    }
  }
  user_error("unknown kind of target");
}

torch::Tensor fusion_outputs(deep::FusionModel& model, const FusionTensors& samples, const torch::Tensor& rows,
                             const torch::Tensor& present, std::int64_t at_once,
                             const std::function<void(const torch::Tensor&, const deep::FusionResult&)>& visit) {
  const torch::NoGradGuard off;
  const bool was_training = model.is_training();
  model.eval();
  std::vector<torch::Tensor> parts;
  for (std::int64_t begin = 0; begin < rows.size(0); begin += at_once) {
    const std::int64_t count = std::min(at_once, rows.size(0) - begin);
    const torch::Tensor some = rows.narrow(0, begin, count);
    const torch::Tensor there = present.defined() ? present.narrow(0, begin, count) : torch::Tensor();
    const deep::FusionResult result = model.forward(samples.batch(some, there));
    if (visit) visit(some, result);
    parts.push_back(result.output);
  }
  model.train(was_training);
  return parts.empty() ? at::zeros({0, 1}) : at::cat(parts);
}

FusionTask::FusionTask(std::shared_ptr<deep::FusionModel> model, const FusionTensors& samples, TargetKind kind,
                       const std::vector<std::int64_t>& train, const std::vector<std::int64_t>& valid,
                       const FusionTrainingOptions& options, std::uint64_t seed)
    : model_(std::move(model)),
      samples_(samples),
      kind_(kind),
      train_(train),
      valid_(row_tensor(valid)),
      options_(options),
      seed_(seed) {
  if (train_.empty()) user_error("no samples are left to train on");
  if (valid.empty()) user_error("no samples are left to choose the best epoch by (split: valid)");
  if (!samples_.target().defined()) user_error("the samples have no outcomes to learn from");
  if (options_.choose != FusionChoice::score) return;
  // Numbers that all differ have the score wherever the outcomes do.
  const torch::Tensor target = samples_.target().index_select(0, valid_);
  const std::int64_t width = kind_ == TargetKind::multiclass ? 2 : target.dim() > 1 ? target.size(1) : 1;
  const torch::Tensor output = at::linspace(-1, 1, valid_.size(0)).unsqueeze(1).expand({valid_.size(0), width});
  if (kind_ != TargetKind::multiclass && !leading_score_of(kind_, output, target))
    user_error("choose must be loss, not score: the {} validation samples, whose outcomes are all equal, have no {}",
               valid_.size(0), leading_score(kind_));
}

std::int64_t FusionTask::steps_per_epoch() const {
  const auto n = static_cast<std::int64_t>(train_.size());
  return (n + options_.batch - 1) / options_.batch;
}

torch::Tensor FusionTask::rows_of_step(std::int64_t step) {
  const std::int64_t per_epoch = steps_per_epoch(), epoch = step / per_epoch, at = step % per_epoch;
  if (epoch != order_epoch_) {
    order_ = RandomStream(seed_, static_cast<std::uint64_t>(epoch)).permutation(train_.size());
    order_epoch_ = epoch;
  }
  // Batches of an epoch differ by one sample at most, so that none is a scrap.
  const auto n = static_cast<std::int64_t>(train_.size());
  const std::int64_t first = n * at / per_epoch, last = n * (at + 1) / per_epoch;
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(last - first));
  for (std::int64_t i = first; i < last; ++i) rows.push_back(train_[order_[static_cast<std::size_t>(i)]]);
  return row_tensor(rows);
}

PartLoss FusionTask::part_loss(const BatchPart& part) {
  const torch::Tensor all = rows_of_step(part.step);
  const std::int64_t n = all.size(0);
  if (n < part.parts) user_error("a batch of {} samples cannot be cut into {} parts", n, part.parts);
  const std::int64_t first = n * part.part / part.parts, last = n * (part.part + 1) / part.parts;
  const torch::Tensor rows = all.narrow(0, first, last - first);
  const deep::FusionResult result = model_->forward(samples_.batch(rows));
  torch::Tensor loss = fusion_loss(kind_, result.output, samples_.target().index_select(0, rows));
  loss = loss * (static_cast<double>((last - first) * part.parts) / static_cast<double>(n));
  PartLoss out;
  out.loss = loss.item<double>();
  out.scored = last - first;
  if (result.auxiliary_loss.defined()) {
    out.auxiliary = result.auxiliary_loss.item<double>();
    loss = loss + result.auxiliary_loss;
  }
  last_weights_.clear();
  for (const deep::FusionRouting& layer : result.layers)
    if (layer.weights.defined()) last_weights_.push_back(layer.weights.sum({0, 1, 2}));
  out.objective = loss;
  return out;
}

Scalars FusionTask::diagnose() {
  Scalars out;
  for (std::size_t i = 0; i < last_weights_.size(); ++i) {
    const torch::Tensor share = last_weights_[i] / last_weights_[i].sum().clamp_min(1e-12);
    const double entropy = -(share * share.clamp_min(1e-12).log()).sum().item<double>();
    const double most = std::log(static_cast<double>(share.numel()));
    out.emplace_back("layer" + std::to_string(i) + "/importance_entropy", most > 0 ? entropy / most : 1.0);
  }
  return out;
}

std::string FusionTask::metric() const {
  return options_.choose == FusionChoice::loss ? "valid/loss" : "valid/" + std::string(leading_score(kind_));
}

Scalars FusionTask::evaluate() {
  if (model_->options().missing == deep::MissingPolicy::impute) {
    const torch::Tensor rows = row_tensor(train_);
    std::vector<torch::Tensor> tokens;
    for (std::int64_t begin = 0; begin < rows.size(0); begin += 1024)
      tokens.push_back(
          model_->tokens(samples_.batch(rows.narrow(0, begin, std::min<std::int64_t>(1024, rows.size(0) - begin)))));
    model_->fit_imputation(at::cat(tokens), samples_.present().index_select(0, rows));
  }
  const torch::Tensor output = fusion_outputs(*model_, samples_, valid_);
  const torch::Tensor target = samples_.target().index_select(0, valid_);
  const double loss = fusion_loss(kind_, output, target).item<double>();
  Scalars out{{"valid/loss", loss}};
  std::optional<double> value = loss;
  const auto score = leading_score_of(kind_, output, target);
  if (score) out.emplace_back("valid/" + std::string(leading_score(kind_)), *score);
  if (options_.choose == FusionChoice::score) value = score;
  if (value && std::isfinite(*value) &&
      (!best_value_ || (larger_is_better() ? *value > *best_value_ : *value < *best_value_))) {
    best_value_ = value;
    best_.clear();
    for (const auto& entry : module_tensors(*model_)) best_.push_back(entry.second.detach().clone());
  }
  return out;
}

void FusionTask::restore_best() {
  if (best_.empty()) return;
  const torch::NoGradGuard off;
  std::size_t i = 0;
  for (const auto& entry : module_tensors(*model_)) entry.second.detach().copy_(best_[i++]);
}

}  // namespace clearway::train
