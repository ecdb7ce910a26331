// Labels of texts: a transformer's features at the last token of a text, and a small head on them.
#pragma once

#include <torch/nn/module.h>

#include <memory>

#include "clearway/deep/transformer.hpp"
#include "clearway/train/classification_data.hpp"
#include "clearway/train/task.hpp"

namespace clearway::train {

/// tanh(f W1' + b1) W2' + b2 on the features f of the last token.
class TextClassifier : public torch::nn::Module {
 public:
  TextClassifier(std::shared_ptr<deep::LanguageModel> body, std::int64_t labels);

  struct Result {
    torch::Tensor scores;          ///< B x labels
    torch::Tensor auxiliary_loss;  ///< scalar or undefined
    std::vector<deep::SparseMixtureResult> layers;
  };
  Result forward(const ClassificationBatch& batch, std::int64_t step, const torch::Device& device);

  deep::LanguageModel& body() { return *body_; }

 private:
  std::shared_ptr<deep::LanguageModel> body_;
  torch::Tensor hidden_weight_, hidden_bias_, output_weight_, output_bias_;
};

/// How well labels are predicted.
struct ClassificationScore {
  double accuracy = 0;
  double log_loss = 0;  ///< nats
  double macro_f1 = 0;  ///< mean over labels of 2 P R / (P + R), 0 where a label is neither there nor predicted
  std::int64_t texts = 0;
};
/// Evaluation mode is the caller's affair.
ClassificationScore score_texts(TextClassifier& model, const EncodedTexts& texts, std::int64_t labels,
                                std::int64_t rows, const torch::Device& device);

class ClassificationTask : public TrainingTask {
 public:
  ClassificationTask(std::shared_ptr<TextClassifier> model, const EncodedTexts& train, const EncodedTexts& valid,
                     std::int64_t labels, std::int64_t batch, std::uint64_t seed, const torch::Device& device);

  torch::nn::Module& model() override { return *model_; }
  PartLoss part_loss(const BatchPart& part) override;
  Scalars evaluate() override;
  std::string metric() const override { return "valid/accuracy"; }
  bool larger_is_better() const override { return true; }

 private:
  std::shared_ptr<TextClassifier> model_;
  const EncodedTexts& train_;
  const EncodedTexts& valid_;
  std::int64_t labels_, batch_;
  std::uint64_t seed_;
  torch::Device device_;
};

}  // namespace clearway::train
