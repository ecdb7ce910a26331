// Torch tensors in safetensors files: round trips of every number type, other programs' files, what does not fit a module.
#include "clearway/train/tensors.hpp"

#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <cmath>

#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

struct Inner : torch::nn::Module {
  Inner() : weight(register_parameter("weight", at::arange(6, at::kFloat).reshape({2, 3}))) {}
  torch::Tensor weight;
};
struct Outer : torch::nn::Module {
  Outer()
      : inner(register_module("inner", std::make_shared<Inner>())),
        bias(register_parameter("bias", at::zeros({2}))),
        counts(register_buffer("counts", at::zeros({3}, at::kLong))) {}
  std::shared_ptr<Inner> inner;
  torch::Tensor bias, counts;
};

TEST(Tensors, EveryNumberTypeComesBackEqual) {
  const TemporaryFolder folder;
  const torch::Tensor table = at::tensor({-2.5, 0.0, 1.0, 3.0, 100.0, -7.0}, at::kDouble).reshape({2, 3});
  NamedTensors tensors;
  for (const auto type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kChar, at::kBool})
    tensors[at::toString(type)] = table.to(type);
  tensors["byte"] = table.abs().to(at::kByte);
  tensors["scalar"] = at::scalar_tensor(0.1, at::kDouble);
  tensors["empty"] = at::empty({0, 4});
  tensors["transposed"] = table.t();                    // not contiguous
  tensors["trained"] = at::ones({2}).requires_grad_();  // with a graph
  tensors["part"] = table.slice(1, 1, 3);               // a view of a part
  save_tensors(folder / "a", tensors, {{"format", "pt"}}, true);
  const NamedTensors back = load_tensors(folder / "a");
  ASSERT_EQ(back.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(back.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(back.at(name), tensor)) << name;
  }
  // By another route: the numbers of a slice lie together in the file.
  const auto file = SafetensorsFile::open(folder / "a");
  const auto* numbers = reinterpret_cast<const double*>(file.at("part").bytes.data());
  EXPECT_EQ(std::vector<double>(numbers, numbers + 4), (std::vector<double>{0, 1, 100, -7}));
}

TEST(Tensors, AModuleComesBackEqual) {
  const TemporaryFolder folder;
  Outer module;
  {
    const at::NoGradGuard no_gradients;
    module.bias.fill_(3);
    module.counts.fill_(4);
  }
  save_tensors(folder / "a", module_tensors(module));
  const NamedTensors saved = load_tensors(folder / "a");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : saved) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"bias", "counts", "inner.weight"}));
  Outer other;
  {
    const at::NoGradGuard no_gradients;
    other.inner->weight.fill_(-1);
  }
  load_into(other, saved, "a");
  EXPECT_TRUE(at::equal(other.inner->weight, module.inner->weight));
  EXPECT_TRUE(at::equal(other.bias, module.bias));
  EXPECT_TRUE(at::equal(other.counts, module.counts));
  EXPECT_TRUE(other.bias.requires_grad());
  EXPECT_TRUE(other.bias.is_leaf());
}

TEST(Tensors, WhatDoesNotFitIsNamedAndChangesNothing) {
  Outer module;
  NamedTensors tensors;
  tensors["inner.weights"] = at::zeros({2, 3});
  tensors["bias"] = at::ones({2, 1});
  tensors["counts"] = at::ones({3}, at::kLong);
  EXPECT_EQ(message_of([&] { load_into(module, tensors, "m"); }),
            "m: does not fit the model: missing are inner.weight; the model has no inner.weights (did you mean "
            "'inner.weight'?); shapes differ: bias has 2 x 1, the model 2");
  EXPECT_EQ(module.counts.sum().item<std::int64_t>(), 0);
}

TEST(Tensors, FilesOfOtherPrograms) {
  const std::string folder = CLEARWAY_SHARED "/data/checkpoints/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  const NamedTensors tensors = load_tensors(folder + "marl_moe.safetensors");
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : tensors) {
    numbers += tensor.numel();
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
  EXPECT_EQ(tensors.size(), 58u);
  EXPECT_EQ(numbers, 610703);
  EXPECT_EQ(message_of([&] { (void)load_tensors(folder + "cs_tiny.safetensors"); }),
            folder +
                "cs_tiny.safetensors: 'model.layers.0.mlp.down_proj.weight' has numbers of type U16, which torch does "
                "not have");
}

TEST(Tensors, EveryRefusalIsNamed) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of([&] {
              save_tensors(folder / "a", {{"z", at::zeros({1}, at::kComplexFloat)}});
            }),
            "tensor 'z': numbers of type ComplexFloat cannot be saved as safetensors");
  EXPECT_EQ(message_of([&] {
              save_tensors(folder / "a", {{"z", torch::Tensor()}});
            }),
            "tensor 'z': is not defined and cannot be saved");
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

}  // namespace
}  // namespace clearway::train
