#include "clearway/train/classification_task.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::train {
namespace {

torch::Tensor from(const std::vector<std::int64_t>& numbers, at::IntArrayRef shape, const torch::Device& device) {
  return at::from_blob(const_cast<std::int64_t*>(numbers.data()), shape, at::kLong).clone().to(device);
}

/// The rows that belong to one part of a batch.
ClassificationBatch rows_of(const ClassificationBatch& batch, const BatchPart& part) {
  const std::int64_t first = batch.rows * part.part / part.parts, last = batch.rows * (part.part + 1) / part.parts;
  ClassificationBatch out;
  out.rows = last - first;
  out.length = batch.length;
  const auto copy = [&](const auto& from, auto& to, std::int64_t width) {
    to.assign(from.begin() + first * width, from.begin() + last * width);
  };
  copy(batch.tokens, out.tokens, batch.length);
  copy(batch.mask, out.mask, batch.length);
  copy(batch.lengths, out.lengths, 1);
  copy(batch.labels, out.labels, 1);
  return out;
}

}  // namespace

TextClassifier::TextClassifier(std::shared_ptr<deep::LanguageModel> body, std::int64_t labels)
    : body_(std::move(body)) {
  const auto width = body_->options().width;
  const double bound = 1 / std::sqrt(static_cast<double>(width));
  const auto uniform = [&](at::IntArrayRef shape) { return at::empty(shape, at::kFloat).uniform_(-bound, bound); };
  register_module("body", body_);
  hidden_weight_ = register_parameter("hidden_weight", uniform({width, width}));
  hidden_bias_ = register_parameter("hidden_bias", at::zeros({width}));
  output_weight_ = register_parameter("output_weight", uniform({labels, width}));
  output_bias_ = register_parameter("output_bias", at::zeros({labels}));
}

TextClassifier::Result TextClassifier::forward(const ClassificationBatch& batch, std::int64_t step,
                                               const torch::Device& device) {
  const torch::Tensor tokens = from(batch.tokens, {batch.rows, batch.length}, device);
  const torch::Tensor mask =
      at::from_blob(const_cast<std::uint8_t*>(batch.mask.data()), {batch.rows * batch.length}, at::kByte).to(device);
  auto result = body_->forward(tokens, step, nullptr, mask.nonzero().squeeze(1));
  const torch::Tensor last = (from(batch.lengths, {batch.rows}, device) - 1)
                                 .reshape({-1, 1, 1})
                                 .expand({batch.rows, 1, result.features.size(2)});
  const torch::Tensor features = result.features.gather(1, last).squeeze(1);
  const torch::Tensor hidden = at::linear(features, hidden_weight_, hidden_bias_).tanh();
  const torch::Tensor scores =
      at::linear(at::dropout(hidden, body_->options().dropout, is_training()), output_weight_, output_bias_);
  return {scores, result.auxiliary_loss, std::move(result.layers)};
}

ClassificationScore score_texts(TextClassifier& model, const EncodedTexts& texts, std::int64_t labels,
                                std::int64_t rows, const torch::Device& device) {
  const torch::NoGradGuard off;
  ClassificationScore out;
  std::vector<double> right(static_cast<std::size_t>(labels)), there = right, predicted = right;
  const std::int64_t batches = batches_per_epoch(texts, rows);
  for (std::int64_t i = 0; i < batches; ++i) {
    const ClassificationBatch batch = evaluation_batch(texts, rows, i);
    const torch::Tensor scores = model.forward(batch, 0, device).scores.to(at::kCPU);
    const torch::Tensor truth = from(batch.labels, {batch.rows}, at::kCPU);
    out.log_loss += at::cross_entropy_loss(scores, truth, {}, at::Reduction::Sum).item<double>();
    const torch::Tensor best = scores.argmax(1).contiguous();
    for (std::int64_t r = 0; r < batch.rows; ++r) {
      const auto guess = static_cast<std::size_t>(best.data_ptr<std::int64_t>()[r]);
      const auto label = static_cast<std::size_t>(batch.labels[static_cast<std::size_t>(r)]);
      there[label] += 1;
      predicted[guess] += 1;
      if (guess == label) right[label] += 1;
    }
    out.texts += batch.rows;
  }
  for (std::size_t k = 0; k < right.size(); ++k) {
    out.accuracy += right[k];
    if (there[k] + predicted[k] > 0)
      out.macro_f1 += 2 * right[k] / (there[k] + predicted[k]) / static_cast<double>(labels);
  }
  const double count = static_cast<double>(std::max<std::int64_t>(1, out.texts));
  out.accuracy /= count;
  out.log_loss /= count;
  return out;
}

ClassificationTask::ClassificationTask(std::shared_ptr<TextClassifier> model, const EncodedTexts& train,
                                       const EncodedTexts& valid, std::int64_t labels, std::int64_t batch,
                                       std::uint64_t seed, const torch::Device& device)
    : model_(std::move(model)),
      train_(train),
      valid_(valid),
      labels_(labels),
      batch_(batch),
      seed_(seed),
      device_(device) {}

PartLoss ClassificationTask::part_loss(const BatchPart& part) {
  const ClassificationBatch whole = training_batch(train_, batch_, seed_, part.step);
  if (whole.rows < part.parts) user_error("a batch of {} texts cannot be cut into {} parts", whole.rows, part.parts);
  const ClassificationBatch batch = rows_of(whole, part);
  const TextClassifier::Result result = model_->forward(batch, part.step, device_);
  torch::Tensor loss = at::cross_entropy_loss(result.scores, from(batch.labels, {batch.rows}, device_));
  // Parts may differ by one row: weigh them so that their sum is the mean over the whole batch.
  loss = loss * (static_cast<double>(batch.rows * part.parts) / static_cast<double>(whole.rows));
  PartLoss out;
  out.loss = loss.item<double>();
  out.scored = batch.rows;
  if (result.auxiliary_loss.defined()) {
    out.auxiliary = result.auxiliary_loss.item<double>();
    loss = loss + result.auxiliary_loss;
  }
  out.objective = loss;
  return out;
}

Scalars ClassificationTask::evaluate() {
  if (valid_.texts.empty()) return {};
  const ClassificationScore score = score_texts(*model_, valid_, labels_, batch_, device_);
  return {{"valid/accuracy", score.accuracy}, {"valid/log_loss", score.log_loss}, {"valid/macro_f1", score.macro_f1}};
}

}  // namespace clearway::train
