#include "clearway/train/language_task.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/core/routing.hpp"

namespace clearway::train {
namespace {

torch::Tensor table(const std::vector<std::int64_t>& numbers, std::int64_t rows, std::int64_t columns,
                    const torch::Device& device) {
  return at::from_blob(const_cast<std::int64_t*>(numbers.data()), {rows, columns}, at::kLong).clone().to(device);
}

/// Sum of -log p of the targets that are scored. logits: R x V, targets: R.
torch::Tensor summed_loss(const torch::Tensor& logits, const torch::Tensor& targets) {
  return at::cross_entropy_loss(logits, targets, {}, at::Reduction::Sum, kNotScored);
}

}  // namespace

TextScore score_text(deep::LanguageModel& model, std::span<const std::int32_t> tokens, std::int64_t rows,
                     std::int64_t stride, std::int64_t most_batches, const std::function<void(double)>& progress) {
  const torch::NoGradGuard off;
  const auto length = model.options().context;
  const torch::Device device = model.parameters().front().device();
  const bool stream = model.options().memory > 0;
  if (stream) rows = 1, stride = length;
  deep::StreamMemory memory;
  TextScore out;
  std::int64_t batches = evaluation_batches(tokens.size(), rows, length, stride);
  if (most_batches > 0) batches = std::min(batches, most_batches);
  for (std::int64_t i = 0; i < batches; ++i) {
    const TokenBatch batch = evaluation_batch(tokens, rows, length, stride, i);
    const torch::Tensor inputs = table(batch.tokens, batch.rows, batch.length, device);
    const torch::Tensor targets = table(batch.targets, batch.rows, batch.length, device).reshape({-1});
    const torch::Tensor features = model.forward(inputs, 0, stream ? &memory : nullptr).features;
    const torch::Tensor logits = model.logits(features.reshape({-1, features.size(2)}));
    out.add(summed_loss(logits, targets).item<double>(), targets.ne(kNotScored).sum().item<std::int64_t>());
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(batches));
  }
  return out;
}

LanguageTask::LanguageTask(std::shared_ptr<deep::LanguageModel> model, const EncodedText& train,
                           const EncodedText& valid, const LanguageTaskOptions& options, bool bits,
                           const torch::Device& device)
    : model_(std::move(model)), train_(train), valid_(valid), options_(options), bits_(bits), device_(device) {}

PartLoss LanguageTask::part_loss(const BatchPart& part) {
  const auto length = model_->options().context;
  const std::int64_t rows = options_.batch * options_.processes;
  if (rows % part.parts != 0) user_error("a batch of {} sequences cannot be cut into {} equal parts", rows, part.parts);
  const std::int64_t own = rows / part.parts;
  const TokenBatch batch = training_batch(train_.tokens, options_.sampling, rows, length, options_.seed, part.step);
  const torch::Tensor tokens = table(batch.tokens, rows, length, at::kCPU).narrow(0, part.part * own, own).to(device_);
  const torch::Tensor targets =
      table(batch.targets, rows, length, at::kCPU).narrow(0, part.part * own, own).reshape({-1}).to(device_);

  deep::StreamMemory* memory = nullptr;
  if (options_.sampling == Sampling::streams && model_->options().memory > 0) {
    cut_memories(static_cast<std::size_t>(part.parts));
    own_parts_.insert(static_cast<std::size_t>(part.part));
    memory = &memories_[static_cast<std::size_t>(part.part)];
    if (part.step % steps_per_epoch(train_.tokens.size(), rows, length) == 0) memory->clear();
  }
  const deep::LanguageModelResult result = model_->forward(tokens, part.step, memory);
  const torch::Tensor logits = model_->logits(result.features.reshape({-1, result.features.size(2)}));
  PartLoss out;
  out.scored = targets.ne(kNotScored).sum().item<std::int64_t>();
  torch::Tensor loss = summed_loss(logits, targets) / static_cast<double>(std::max<std::int64_t>(1, out.scored));
  out.loss = loss.item<double>();
  if (result.auxiliary_loss.defined()) {
    out.auxiliary = result.auxiliary_loss.item<double>();
    loss = loss + result.auxiliary_loss;
  }
  out.objective = loss;
  step_load_.resize(result.layers.size());
  for (std::size_t i = 0; i < result.layers.size(); ++i) {
    const auto& assignments = result.layers[i].routing.assignments;
    if (assignments.count() == 0) continue;
    const torch::Tensor counts =
        deep::assignment_counts(assignments, model_->mixtures()[i]->options().experts.experts).to(at::kCPU);
    step_load_[i] = step_load_[i].defined() ? step_load_[i] + counts : counts;
  }
  return out;
}

/// Brings memories, after a resume perhaps of another number of parts, to that of now.
void LanguageTask::cut_memories(std::size_t parts) {
  if (memories_.size() == parts) return;
  std::vector<deep::StreamMemory> cut(parts);
  const std::size_t blocks = memories_.empty() ? 0 : memories_.front().size();
  for (std::size_t block = 0; block < blocks; ++block) {
    std::vector<torch::Tensor> rows;
    for (const deep::StreamMemory& memory : memories_) rows.push_back(memory.at(block));
    const auto pieces = at::cat(rows).tensor_split(static_cast<std::int64_t>(parts));
    for (std::size_t part = 0; part < parts; ++part) cut[part].push_back(pieces[part].contiguous());
  }
  memories_ = std::move(cut);
}

void LanguageTask::after_step(std::int64_t step) {
  if (reduce_ && !step_load_.empty()) {
    std::vector<torch::Tensor> counts;
    std::vector<std::int64_t> sizes;
    for (std::size_t i = 0; i < step_load_.size(); ++i) {
      sizes.push_back(model_->mixtures()[i]->options().experts.experts);
      counts.push_back(step_load_[i].defined() ? step_load_[i] : at::zeros({sizes.back()}, at::kLong));
    }
    torch::Tensor all = at::cat(counts);
    reduce_(all);
    const auto parts = all.split_with_sizes(sizes);
    for (std::size_t i = 0; i < step_load_.size(); ++i)
      step_load_[i] = parts[i].sum().item<std::int64_t>() > 0 ? parts[i] : torch::Tensor();
  }
  load_since_report_.resize(step_load_.size());
  for (std::size_t i = 0; i < step_load_.size(); ++i) {
    torch::Tensor& counts = step_load_[i];
    if (!counts.defined()) continue;
    load_since_report_[i] = load_since_report_[i].defined() ? load_since_report_[i] + counts : counts.clone();
    model_->mixtures()[i]->router().after_step(
        counts.to(device_, at::kFloat) / counts.sum().clamp_min(1).item<double>(), step);
    counts = torch::Tensor();
  }
}

Scalars LanguageTask::evaluate() {
  if (valid_.tokens.size() < 2) return {};
  const TextScore score = score_text(*model_, valid_.tokens, options_.evaluation_rows, model_->options().context,
                                     options_.evaluation_batches);
  return {{"valid/loss", score.nats_per_token()},
          {bits_ ? "valid/bits" : "valid/perplexity", bits_ ? score.bits_per_token() : score.perplexity()}};
}

Scalars LanguageTask::diagnose() {
  Scalars out;
  for (std::size_t i = 0; i < load_since_report_.size(); ++i) {
    torch::Tensor& counts = load_since_report_[i];
    if (!counts.defined()) continue;
    const torch::Tensor share = counts.to(at::kDouble) / counts.sum().item<double>();
    const Vector load = Eigen::Map<const Vector>(share.data_ptr<double>(), share.numel());
    out.emplace_back(fmt::format("layer{}/load_entropy", i), normalised_entropy(load));
    out.emplace_back(fmt::format("layer{}/largest_share", i), load.maxCoeff() * static_cast<double>(load.size()));
    out.emplace_back(fmt::format("layer{}/dead_experts", i), static_cast<double>(dead_experts(load).size()));
    for (Eigen::Index k = 0; k < load.size(); ++k) out.emplace_back(fmt::format("layer{}/load{}", i, k), load[k]);
    counts = torch::Tensor();
  }
  return out;
}

NamedTensors LanguageTask::extra_state() {
  NamedTensors out;
  if (own_parts_.empty()) return out;
  const deep::StreamMemory& own = memories_[*own_parts_.begin()];  // those of the others have the same shapes
  for (std::size_t part = 0; part < memories_.size(); ++part)
    for (std::size_t block = 0; block < own.size(); ++block) {
      const bool here = own_parts_.contains(part);
      torch::Tensor memory = here ? memories_[part][block] : at::zeros_like(own[block]);
      if (reduce_) {
        memory = memory.to(at::kCPU, at::kFloat, false, true);
        reduce_(memory);
      }
      out[fmt::format("memory.{}.{}", part, block)] = memory;
    }
  return out;
}

void LanguageTask::load_extra_state(const NamedTensors& state) {
  memories_.clear();
  for (const auto& [name, tensor] : state) {
    std::size_t part = 0, block = 0;
    if (std::sscanf(name.c_str(), "memory.%zu.%zu", &part, &block) != 2)
      user_error("optimizer.safetensors: unexpected tensor 'task.{}'", name);
    if (memories_.size() <= part) memories_.resize(part + 1);
    if (memories_[part].size() <= block) memories_[part].resize(block + 1);
    memories_[part][block] = tensor.to(device_);
  }
}

}  // namespace clearway::train
