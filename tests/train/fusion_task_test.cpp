// Learning a fusion model: losses against closed forms, batches as functions of the step, exact resume, the best weights.
#include "clearway/train/fusion_task.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

#include "clearway/train/checkpoint.hpp"
#include "clearway/train/loop.hpp"
#include "fusion_samples.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using fusion::TargetKind;
using testing_io::TemporaryFolder;
using namespace testing_fusion;  // NOLINT(google-build-using-namespace)

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::shared_ptr<deep::FusionModel> model_for(const deep::FusionOptions& options, const FusionTensors& samples,
                                             TargetKind kind, std::uint64_t seed = 5) {
  torch::manual_seed(seed);
  return std::make_shared<deep::FusionModel>(options, samples.shapes(), model_outputs(target_of(kind)));
}

NamedTensors copy_of(const torch::nn::Module& module) {
  NamedTensors out;
  for (const auto& [name, tensor] : module_tensors(module)) out[name] = tensor.detach().clone();
  return out;
}
bool same_bits(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a)
    if (!tensor.equal(b.at(name))) return false;
  return true;
}
void fill(torch::nn::Module& module, double value) {
  const torch::NoGradGuard off;
  for (torch::Tensor& parameter : module.parameters()) parameter.fill_(value);
}
void scramble(torch::nn::Module& module) {
  const torch::NoGradGuard off;
  for (torch::Tensor& parameter : module.parameters()) parameter.normal_(0, 0.5);
}

double value_of(const Scalars& scalars, const std::string& name) {
  for (const auto& [key, value] : scalars)
    if (key == name) return value;
  return kUnknown;
}

TEST(FusionLoss, OfAnEvent) {
  const torch::Tensor output = at::tensor({0.3, -1.2, 2.0}, at::kDouble).unsqueeze(1);
  const torch::Tensor target = at::tensor({1.0, 0.0, 0.0}, at::kDouble);
  const double wanted = (std::log1p(std::exp(-0.3)) + std::log1p(std::exp(-1.2)) + std::log1p(std::exp(2.0))) / 3;
  EXPECT_NEAR(fusion_loss(TargetKind::binary, output, target).item<double>(), wanted, 1e-12);
}

TEST(FusionLoss, OfClasses) {
  const torch::Tensor output = at::tensor({1.0, 2.0, -1.0, 0.0, 0.5, 0.25}, at::kDouble).view({2, 3});
  const torch::Tensor target = at::tensor({1.0, 2.0}, at::kDouble);
  const auto log_sum = [](double a, double b, double c) { return std::log(std::exp(a) + std::exp(b) + std::exp(c)); };
  const double wanted = (log_sum(1, 2, -1) - 2 + log_sum(0, 0.5, 0.25) - 0.25) / 2;
  EXPECT_NEAR(fusion_loss(TargetKind::multiclass, output, target).item<double>(), wanted, 1e-12);
}

TEST(FusionLoss, OfLabelsCountsKnownOnesOnly) {
  torch::Tensor output = at::tensor({0.3, 9.0, -1.2, 2.0}, at::kDouble).view({2, 2}).requires_grad_(true);
  const torch::Tensor target = at::tensor({1.0, kUnknown, 0.0, 1.0}, at::kDouble).view({2, 2});
  const torch::Tensor loss = fusion_loss(TargetKind::multilabel, output, target);
  EXPECT_NEAR(loss.item<double>(),
              (std::log1p(std::exp(-0.3)) + std::log1p(std::exp(-1.2)) + std::log1p(std::exp(-2.0))) / 3, 1e-12);
  loss.backward();
  EXPECT_EQ(output.grad()[0][1].item<double>(), 0);
  EXPECT_NEAR(output.grad()[0][0].item<double>(), -1 / (1 + std::exp(0.3)) / 3, 1e-12);
  const torch::Tensor nothing = at::full({2, 2}, kUnknown, at::kDouble);
  EXPECT_EQ(fusion_loss(TargetKind::multilabel, output, nothing).item<double>(), 0);
}

TEST(FusionLoss, OfNumbersIsTheNormalDensity) {
  // Columns: two means, two log standard deviations, of which 9 counts as 6.
  const torch::Tensor output = at::tensor({1.0, -2.0, 0.5, 9.0}, at::kDouble).view({1, 4});
  const torch::Tensor target = at::tensor({1.5, 4.0}, at::kDouble).view({1, 2});
  const auto minus_log_density = [](double y, double mean, double log_sd) {
    const double sd = std::exp(log_sd);
    return 0.5 * std::log(2 * M_PI * sd * sd) + (y - mean) * (y - mean) / (2 * sd * sd);
  };
  EXPECT_NEAR(fusion_loss(TargetKind::regression, output, target).item<double>(),
              (minus_log_density(1.5, 1, 0.5) + minus_log_density(4, -2, 6)) / 2, 1e-12);
}

/// A task whose losses tell which samples were asked: a model of zeros predicts N(0, 1), and sample i costs 2^i more than
/// the constant. 13 samples keep all sums within a float's 24 bits.
struct TellingTask {
  static constexpr std::int64_t kSamples = 16;
  fusion::PreparedData data = samples_of(TargetKind::regression, kSamples);
  FusionTrainingOptions training;
  std::unique_ptr<FusionTensors> tensors;
  std::unique_ptr<FusionTask> task;

  explicit TellingTask(std::uint64_t seed = 1) {
    data.target.names = {"y"};
    data.target.centre = {0};
    data.target.scale = {1};
    data.target.values.clear();
    for (std::int64_t i = 0; i < kSamples; ++i)
      data.target.values.push_back(static_cast<float>(std::sqrt(2 * std::pow(2.0, static_cast<double>(i)))));
    tensors = std::make_unique<FusionTensors>(data);
    deep::FusionOptions options = small_model();
    options.method = deep::FusionMethod::linear;
    torch::manual_seed(1);
    const auto model = std::make_shared<deep::FusionModel>(options, tensors->shapes(), 2);
    fill(*model, 0);
    training.batch = 5;
    task = std::make_unique<FusionTask>(model, *tensors, TargetKind::regression, range(0, 13), range(13, kSamples),
                                        training, seed);
  }
  /// The samples of a part of a step as bits.
  long long bits(std::int64_t step, std::int64_t part = 0, std::int64_t parts = 1) const {
    const PartLoss loss = task->part_loss({step, part, parts});
    const double mean = loss.loss / share(loss.scored, step, parts);
    return std::llround((mean - 0.91893853320467274) * static_cast<double>(loss.scored));
  }
  /// A part's mean loss counts as much as its share of the batch.
  double share(std::int64_t scored, std::int64_t step, std::int64_t parts) const {
    if (parts == 1) return 1;
    return static_cast<double>(scored * parts) / static_cast<double>(task->part_loss({step, 0, 1}).scored);
  }
};

TEST(FusionTask, EveryEpochAsksEverySampleOnce) {
  const TellingTask telling;
  EXPECT_EQ(telling.task->steps_per_epoch(), 3);
  std::vector<long long> orders;
  for (const std::int64_t epoch : {0, 1, 7}) {
    long long seen = 0;
    for (std::int64_t step = 3 * epoch; step < 3 * epoch + 3; ++step) {
      const long long batch = telling.bits(step);
      EXPECT_EQ(seen & batch, 0) << "twice in an epoch";
      seen |= batch;
      const auto count = telling.task->part_loss({step, 0, 1}).scored;
      EXPECT_TRUE(count == 4 || count == 5) << count;
      EXPECT_EQ(__builtin_popcountll(static_cast<unsigned long long>(batch)), count);
      if (step % 3 == 0) orders.push_back(batch);
    }
    EXPECT_EQ(seen, (1 << 13) - 1) << "training samples, and no validation ones";
  }
  EXPECT_FALSE(orders[0] == orders[1] && orders[1] == orders[2]) << "epochs are shuffled anew";
}

TEST(FusionTask, BatchesDependOnTheStepOnly) {
  const TellingTask one, same, other(2);
  std::vector<long long> forwards;
  for (std::int64_t step = 0; step < 9; ++step) forwards.push_back(one.bits(step));
  bool differs = false;
  for (std::int64_t step = 8; step >= 0; --step) {
    EXPECT_EQ(same.bits(step), forwards[static_cast<std::size_t>(step)]) << step;
    differs = differs || other.bits(step) != forwards[static_cast<std::size_t>(step)];
  }
  EXPECT_TRUE(differs) << "another seed, another order";
}

TEST(FusionTask, PartsMakeUpTheBatch) {
  const TellingTask telling;
  for (std::int64_t step = 0; step < 3; ++step) {
    long long together = 0;
    double loss = 0;
    for (std::int64_t part = 0; part < 3; ++part) {
      const long long bits = telling.bits(step, part, 3);
      EXPECT_EQ(together & bits, 0);
      together |= bits;
      loss += telling.task->part_loss({step, part, 3}).loss / 3;
    }
    EXPECT_EQ(together, telling.bits(step));
    const double whole = telling.task->part_loss({step, 0, 1}).loss;
    EXPECT_NEAR(loss, whole, 1e-5 * whole);  // float sums in another order
  }
  EXPECT_THROW(telling.task->part_loss({0, 0, 6}), std::invalid_argument);  // 4 samples in 6 parts
}

TEST(FusionTask, ResumesToTheSameBits) {
  const fusion::PreparedData data = samples_of(TargetKind::binary, 60);
  const FusionTensors samples(data);
  for (const auto policy : {deep::MissingPolicy::zero, deep::MissingPolicy::impute}) {
    deep::FusionOptions options = small_model();
    options.missing = policy;
    options.noise = 0.1;  // dropout, modality dropout and noise: the generator's state matters
    FusionTrainingOptions training;
    training.batch = 16;
    const LoopOptions loop{.steps = 12, .batch = 16, .evaluate_every = 3, .log_every = 3};
    const LearningRateOptions rate{.peak = 1e-2, .warmup = 2};
    const TemporaryFolder place;
    const auto train = [&](const RunFolder& folder, bool resume, const LoopCallbacks& callbacks = {}) {
      const auto model = model_for(options, samples, TargetKind::binary);
      FusionTask task(model, samples, TargetKind::binary, range(0, 45), range(45, 60), training, 9);
      run_training(task, loop, rate, &folder, resume, callbacks);
      return copy_of(*model);
    };
    const auto folder_of = [&](const std::string& name) {
      const RunFolder folder = RunFolder::create(place / name);
      folder.write_json("config.json", Json::object());
      return folder;
    };
    const RunFolder whole = folder_of("whole"), parts = folder_of("parts");
    const NamedTensors once = train(whole, false);
    int asked = 0;
    LoopCallbacks stop;
    stop.stop = [&] { return ++asked == 5; };
    EXPECT_FALSE(same_bits(once, train(parts, false, stop)));
    torch::manual_seed(1234);  // another process would not have our generator
    EXPECT_TRUE(same_bits(once, train(parts, true)));
    EXPECT_TRUE(same_bits(CheckpointFolder(whole).load_model("best"), CheckpointFolder(parts).load_model("best")));
  }
}

TEST(FusionTask, RestoresTheBestWeights) {
  for (const TargetKind kind : kKinds)
    for (const FusionChoice choose : {FusionChoice::loss, FusionChoice::score}) {
      const fusion::PreparedData data = samples_of(kind, 80);
      const FusionTensors samples(data);
      const auto model = model_for(small_model(), samples, kind);
      FusionTrainingOptions training;
      training.choose = choose;
      FusionTask task(model, samples, kind, range(0, 40), range(40, 80), training, 1);
      EXPECT_EQ(task.larger_is_better(), choose == FusionChoice::score);
      NamedTensors best;
      double best_value = 0;
      for (int i = 0; i < 6; ++i) {
        scramble(*model);
        const double value = value_of(task.evaluate(), task.metric());
        ASSERT_TRUE(std::isfinite(value)) << task.metric();
        if (best.empty() || (choose == FusionChoice::loss ? value < best_value : value > best_value)) {
          best = copy_of(*model);
          best_value = value;
        }
      }
      task.restore_best();
      EXPECT_TRUE(same_bits(best, copy_of(*model)));
      EXPECT_EQ(value_of(task.evaluate(), task.metric()), best_value);
    }
}

// Equal predictions have no correlation: no loss may stand in for it where the largest is the best.
TEST(FusionTask, WhatHasNoScoreIsNotTheBest) {
  const fusion::PreparedData data = samples_of(TargetKind::regression, 40);
  const FusionTensors samples(data);
  const auto model = model_for(small_model(), samples, TargetKind::regression);
  FusionTrainingOptions training;
  training.choose = FusionChoice::score;
  FusionTask task(model, samples, TargetKind::regression, range(0, 20), range(20, 40), training, 1);
  EXPECT_TRUE(std::isfinite(value_of(task.evaluate(), "valid/correlation")));
  const NamedTensors first = copy_of(*model);
  fill(*model, 0);
  const Scalars without = task.evaluate();
  EXPECT_TRUE(std::isnan(value_of(without, "valid/correlation")));
  EXPECT_TRUE(std::isfinite(value_of(without, "valid/loss")));
  task.restore_best();
  EXPECT_TRUE(same_bits(first, copy_of(*model)));
}

TEST(FusionTask, RefusesWhatItCannotLearnOrChooseBy) {
  fusion::PreparedData data = samples_of(TargetKind::binary, 30);
  for (std::size_t i = 20; i < 30; ++i) data.target.values[i] = 1;
  const FusionTensors samples(data);
  const auto model = model_for(small_model(), samples, TargetKind::binary);
  FusionTrainingOptions training;
  const auto make = [&](const FusionTensors& all, const std::vector<std::int64_t>& train,
                        const std::vector<std::int64_t>& valid) {
    return testing_io::message_of([&] { FusionTask(model, all, TargetKind::binary, train, valid, training, 1); });
  };
  EXPECT_EQ(make(samples, {}, range(0, 5)), "no samples are left to train on");
  EXPECT_EQ(make(samples, range(0, 5), {}), "no samples are left to choose the best epoch by (split: valid)");
  training.choose = FusionChoice::score;
  EXPECT_EQ(make(samples, range(0, 20), range(20, 30)),
            "choose must be loss, not score: the 10 validation samples, whose outcomes are all equal, have no auroc");
  fusion::PreparedData unknown = data;
  unknown.target.values.clear();
  EXPECT_EQ(make(FusionTensors(unknown), range(0, 20), range(20, 30)), "the samples have no outcomes to learn from");
}

// Rows do not see each other; float sums of other sizes may be made in another order.
TEST(FusionOutputs, DoNotDependOnTheParts) {
  const fusion::PreparedData data = samples_of(TargetKind::multiclass, 23);
  const FusionTensors samples(data);
  deep::FusionOptions options = small_model();
  options.encoder = deep::SeriesEncoder::both;
  const auto model = model_for(options, samples, TargetKind::multiclass);
  model->train();
  const torch::Tensor rows = at::arange(22, -1, -1, at::kLong);
  const torch::Tensor whole = fusion_outputs(*model, samples, rows);
  EXPECT_TRUE(model->is_training());
  const torch::Tensor parts = fusion_outputs(*model, samples, rows, {}, 4);
  EXPECT_LT((whole - parts).abs().max().item<double>(), 1e-5);
  const torch::Tensor alone = fusion_outputs(*model, samples, at::tensor({7}, at::kLong));
  EXPECT_LT((whole[15] - alone[0]).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace clearway::train
