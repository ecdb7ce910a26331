// Two processes learn what one learns that cuts its batch in two: the same parts, the same sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "clearway/io/safetensors.hpp"
#include "processes.hpp"
#include "rehearsal.hpp"

namespace clearway::train {
namespace {

using testing_processes::Child;
using testing_processes::in_processes;
using testing_processes::Numbers;
using testing_rehearsal::new_run;
using testing_rehearsal::Rehearsal;
using testing_rehearsal::TemporaryFolder;

struct Setting {
  bool streams = false;
  bool bias_router = false;  // its selection biases follow the load of all processes
  bool spread = false;
  double dropout = 0;
  int stop_after = 0;
  std::string folder{};  // made by the test, where the run is kept
  bool resume = false;
};

Rehearsal rehearsal_of(const Setting& setting, int processes) {
  Rehearsal out;
  out.loop.steps = 6;
  out.loop.evaluate_every = 3;
  out.loop.log_every = 1;
  out.data.batch = 8 / processes;
  out.data.processes = processes;
  out.loop.accumulate = 2 / processes;
  out.shape.dropout = setting.dropout;
  if (setting.bias_router) out.mixture.router.router = deep::RouterKind::bias;
  if (setting.streams) {
    out.data.sampling = Sampling::streams;
    out.shape.positions = deep::Positions::rotary;
    out.shape.memory = 16;
  }
  return out;
}

/// Losses, evaluations and gradient norms as they are logged, then all weights.
Numbers record(const Setting& setting, Communicator* communicator) {
  Rehearsal rehearsal = rehearsal_of(setting, communicator == nullptr ? 1 : communicator->size());
  Numbers out;
  int asked = 0;
  LoopCallbacks callbacks;
  callbacks.logged = [&](std::int64_t, const Scalars& values) {
    for (const auto& [name, value] : values)
      if (name != "train/tokens_per_second") out.push_back(value);
  };
  callbacks.stop = [&] { return ++asked == setting.stop_after; };
  std::optional<RunFolder> folder;
  if (!setting.folder.empty()) folder.emplace(RunFolder::open(setting.folder));
  const auto weights =
      rehearsal.run(folder ? &*folder : nullptr, setting.resume, callbacks, communicator, setting.spread);
  for (const auto& [name, tensor] : weights) {
    const torch::Tensor numbers = tensor.to(at::kDouble).contiguous();
    out.insert(out.end(), numbers.data_ptr<double>(), numbers.data_ptr<double>() + numbers.numel());
  }
  return out;
}

Numbers alone(Setting setting) {
  setting.spread = false;
  Child child([&] {
    at::set_num_threads(1);
    return record(setting, nullptr);
  });
  return child.numbers();
}

/// What process 0 recorded; the weights of the other are the same.
Numbers together(const Setting& setting) {
  const auto found = in_processes(2, [&](Communicator& all) { return record(setting, &all); });
  const Numbers& others = found[1];  // it logs nothing
  EXPECT_LT(others.size(), found[0].size());
  for (std::size_t i = 0; i < others.size(); ++i)
    EXPECT_EQ(others[i], found[0][found[0].size() - others.size() + i]) << "weight " << i;
  return found[0];
}

void expect_close(const Numbers& a, const Numbers& b, double relative, double absolute) {
  ASSERT_EQ(a.size(), b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]) / (absolute + relative * std::abs(a[i])));
  EXPECT_LE(worst, 1);
}

// Data parallel: g1 + g2 is the same float whether one process adds it or Gloo, and every product has the same shape.
// Only the recorded loss is summed in another way, in double: a rounding.
TEST(Distributed, DataParallelEqualsAccumulation) {
  for (const Setting& setting : {Setting{}, Setting{.streams = true}, Setting{.bias_router = true}})
    expect_close(alone(setting), together(setting), 1e-14, 0);
}

// Experts of a process see the tokens of both in one product, so sums of gradients have another order: float rounding
// (6e-8) in gradients, which Adam's division by their size turns into roundings of steps of 5e-3. Numbers near zero whose
// gradients are themselves roundings may move by more: the absolute part. Losses and norms agree to 1e-6.
TEST(Distributed, ExpertParallelEqualsAccumulation) {
  for (const Setting& setting : {Setting{.spread = true}, Setting{.bias_router = true, .spread = true}}) {
    const Numbers one = alone(setting), two = together(setting);
    ASSERT_EQ(one.size(), two.size());
    constexpr std::size_t kLogged = 5;  // the first line: loss, auxiliary, rate, norm, ...
    expect_close({one.begin(), one.begin() + kLogged}, {two.begin(), two.begin() + kLogged}, 1e-6, 1e-9);
    expect_close(one, two, 1e-5, 2e-5);
  }
}

// A run that two processes began goes on in one, and the other way round; the files are those of one process.
TEST(Distributed, GoesOnWithAnotherNumberOfProcesses) {
  for (const bool spread : {false, true})
    for (const bool two_first : {false, true}) {
      SCOPED_TRACE(spread ? "expert parallel" : "data parallel");
      const TemporaryFolder place;
      const Setting whole{.streams = !spread, .spread = spread};
      Setting first = whole, second = whole;
      first.folder = second.folder = new_run(place, "run").path();
      first.stop_after = 3;
      second.resume = true;
      const auto run = [](const Setting& setting, bool two) { return two ? together(setting) : alone(setting); };
      run(first, two_first);
      Numbers all = run({.streams = !spread}, false), rest = run(second, !two_first);
      all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(rest.size()));
      expect_close(all, rest, spread ? 1e-5 : 1e-14, spread ? 2e-5 : 0);
      const auto experts = SafetensorsFile::open(first.folder + "/checkpoints/last/model.safetensors");
      for (const auto& entry : experts.tensors())
        if (entry.name == "block0.mixture.experts.w1") {
          EXPECT_EQ(entry.shape.at(0), 4);
        }
    }
}

// What every process draws is in the checkpoint of process 0, or depends on the step alone.
TEST(Distributed, ResumesToTheSameBits) {
  const TemporaryFolder place;
  Setting first{.dropout = 0.2, .stop_after = 3, .folder = new_run(place, "run").path()}, second = first;
  second.stop_after = 0;
  second.resume = true;
  together(first);
  Numbers all = together({.dropout = 0.2});
  const Numbers rest = together(second);
  all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(rest.size()));
  EXPECT_EQ(all, rest);
}

// In double the layer must agree with the whole one to rounding: outputs, gradients of tokens and of experts. Process 1
// has one token only, so that some exchanges are empty.
TEST(Distributed, SpreadLayerEqualsWhole) {
  const auto found = in_processes(2, [](Communicator& all) {
    Numbers out;
    for (const double capacity : {0.0, 1.0}) {
      deep::SparseMixtureOptions options;
      options.experts = {.experts = 4, .inputs = 6, .hidden = 5, .activation = deep::ExpertActivation::swiglu};
      options.router.top_k = 2;
      options.shared_experts = 1;
      options.capacity = capacity;
      const auto make = [&] {
        torch::manual_seed(3);
        auto layer = std::make_shared<deep::SparseMixture>(options);
        layer->to(at::kDouble);
        return layer;
      };
      const auto whole = make(), spread = make();
      spread->spread(all);
      torch::manual_seed(static_cast<std::uint64_t>(all.rank()));
      const torch::Tensor tokens = at::randn({all.rank() == 0 ? 7 : 1, 6}, at::kDouble), wish = at::randn_like(tokens);
      std::vector<torch::Tensor> outputs, gradients;
      for (const auto& layer : {whole, spread}) {
        torch::Tensor x = tokens.clone().requires_grad_();
        outputs.push_back(layer->forward({.x = x, .training = true}).output);
        (outputs.back() * wish).sum().backward();
        gradients.push_back(x.grad());
      }
      out.push_back((outputs[0] - outputs[1]).abs().max().item<double>());
      out.push_back((gradients[0] - gradients[1]).abs().max().item<double>());
      for (const auto& parameter : spread->experts().named_parameters()) {
        torch::Tensor sum = whole->experts().named_parameters()[parameter.key()].grad().clone();
        all.all_reduce(sum);
        out.push_back((sum.narrow(0, 2 * all.rank(), 2) - parameter.value().grad()).abs().max().item<double>());
      }
      spread->gather();
      const auto same = whole->experts().w1.equal(spread->experts().w1);
      out.push_back(same ? 0 : 1);
    }
    return out;
  });
  for (const Numbers& numbers : found)
    for (const double difference : numbers) EXPECT_LT(difference, 1e-13);
}

TEST(Distributed, RefusesWhatCannotBeSpread) {
  const auto found = in_processes(2, [](Communicator& all) {
    Numbers out;
    const auto refuses = [&](deep::RouterKind router, std::int64_t experts) {
      deep::SparseMixtureOptions options;
      options.experts.experts = experts;
      options.router.router = router;
      options.router.top_k = 1;
      deep::SparseMixture layer(options, 0, 1, 10, 10);
      try {
        layer.spread(all);
        out.push_back(0);
      } catch (const std::invalid_argument&) {
        out.push_back(1);
      }
    };
    refuses(deep::RouterKind::smoe, 4);
    refuses(deep::RouterKind::smoe, 3);
    refuses(deep::RouterKind::dense, 4);
    refuses(deep::RouterKind::compete, 4);
    refuses(deep::RouterKind::compete_v2, 4);
    return out;
  });
  for (const Numbers& numbers : found) EXPECT_EQ(numbers, (Numbers{0, 1, 1, 1, 1}));
}

}  // namespace
}  // namespace clearway::train
