// A small training run for tests: a source with a known entropy, a tiny transformer on it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "clearway/base/random.hpp"
#include "clearway/train/checkpoint.hpp"
#include "clearway/train/language_task.hpp"
#include "clearway/train/loop.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train::testing_rehearsal {

using testing_io::TemporaryFolder;

/// A text in which every letter is followed by one of two: what a model can learn is at most 1 bit per letter.
inline EncodedText two_ways(std::size_t count) {
  RandomStream random(7);
  EncodedText out;
  std::int32_t now = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out.tokens.push_back(now);
    now = (3 * now + 1 + static_cast<std::int32_t>(random.index(2))) % 8;
  }
  out.bytes = static_cast<std::int64_t>(count);
  return out;
}

struct Rehearsal {
  EncodedText train = two_ways(4000), valid = two_ways(600);
  deep::TransformerOptions shape{.layers = 2, .width = 16, .heads = 2, .context = 16};
  deep::SparseMixtureOptions mixture;
  LanguageTaskOptions data{.batch = 8};
  LoopOptions loop{.steps = 12, .evaluate_every = 6, .log_every = 3};
  LearningRateOptions rate{.peak = 5e-3, .warmup = 3};
  LoopResult result;

  Rehearsal() {
    mixture.experts.experts = 4;
    mixture.router.top_k = 2;
  }
  std::shared_ptr<deep::LanguageModel> model() const {
    torch::manual_seed(5);
    return std::make_shared<deep::LanguageModel>(shape, mixture, 8, loop.steps);
  }
  /// Trains and returns the weights. With a communicator experts may be spread; those returned are all.
  NamedTensors run(const RunFolder* folder, bool resume, const LoopCallbacks& callbacks = {},
                   Communicator* communicator = nullptr, bool spread = false) {
    const auto network = model();
    LanguageTask task(network, train, valid, data, true, torch::Device(torch::kCPU));
    if (communicator != nullptr)
      task.set_load_reduction([&](torch::Tensor& numbers) { communicator->all_reduce(numbers); });
    if (spread)
      for (const auto& layer : network->mixtures()) layer->spread(*communicator);
    result = run_training(task, loop, rate, folder, resume, callbacks, communicator);
    for (const auto& layer : network->mixtures()) layer->gather();
    NamedTensors copy;
    for (const auto& [name, tensor] : module_tensors(task.model())) copy[name] = tensor.clone();
    return copy;
  }
};

inline void expect_same_bits(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(tensor.equal(b.at(name))) << name;
}

inline RunFolder new_run(const TemporaryFolder& place, const std::string& name) {
  const RunFolder folder = RunFolder::create(place / name);
  folder.write_json("config.json", Json::object());
  return folder;
}

}  // namespace clearway::train::testing_rehearsal
