// What fusion models cost, for bench/fusion: prints tables in Markdown of CPU time and peak memory on one thread.
//
// Every measurement is made by a process of its own, so that its peak memory is its own; time is CPU time after two steps
// of warming up. Numbers are random: time does not depend on them but for the choice of experts.
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "clearway/base/errors.hpp"
#include "clearway/deep/fusion_model.hpp"

namespace {

using namespace clearway;
using namespace clearway::deep;

double cpu() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Data {
  std::int64_t modalities = 8, rows = 200, places = 48, features = 5;
  bool shared_times = true;
};

struct Cost {
  double step = 0, answer = 0;  // CPU seconds of a batch: training, evaluation
  double parameters = 0;
  double peak = 0;  // MB
};

Cost measured_here(const FusionOptions& options, const Data& data) {
  at::set_num_threads(1);
  torch::manual_seed(1);
  std::vector<fusion::ModalityShape> shapes;
  FusionBatch batch;
  for (std::int64_t m = 0; m < data.modalities; ++m) {
    shapes.push_back({fmt::format("m{}", m), fusion::ModalityKind::irregular, data.features, 7 * data.features});
    ModalityBatch one;
    one.mask = at::rand({data.rows, data.places, data.features}).lt(0.4).to(at::kFloat);
    one.values = at::randn(one.mask.sizes()) * one.mask;
    one.times = data.shared_times ? at::linspace(0, 1, data.places) : at::rand({data.rows, data.places});
    one.summary = at::randn({data.rows, 7 * data.features});
    batch.modalities.push_back(one);
  }
  batch.present = at::rand({data.rows, data.modalities}).lt(0.8).to(at::kFloat);
  FusionModel model(options, shapes, 1);
  const auto step = [&] {
    const FusionResult result = model.forward(batch);
    torch::Tensor loss = result.output.square().mean();
    if (result.auxiliary_loss.defined()) loss = loss + result.auxiliary_loss;
    model.zero_grad();
    loss.backward();
  };
  constexpr int kWarm = 2, kRepeats = 10;
  const auto timed = [](const auto& work) {
    for (int i = 0; i < kWarm; ++i) work();
    const double start = cpu();
    for (int i = 0; i < kRepeats; ++i) work();
    return (cpu() - start) / kRepeats;
  };
  Cost cost;
  cost.parameters = static_cast<double>(model.parameter_count());
  cost.step = timed(step);
  const torch::NoGradGuard off;
  model.eval();
  cost.answer = timed([&] { model.forward(batch); });
  return cost;
}

Cost measured(const FusionOptions& options, const Data& data) {
  int ends[2];
  if (pipe(ends) != 0) world_error("cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) world_error("cannot start a process");
  if (child == 0) {
    const Cost cost = measured_here(options, data);
    const bool written = write(ends[1], &cost, sizeof cost) == static_cast<ssize_t>(sizeof cost);
    _exit(written ? 0 : 1);
  }
  Cost cost;
  const bool read_all = read(ends[0], &cost, sizeof cost) == static_cast<ssize_t>(sizeof cost);
  close(ends[0]);
  close(ends[1]);
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child || status != 0 || !read_all) world_error("a measurement failed");
  cost.peak = static_cast<double>(usage.ru_maxrss) / 1024;
  return cost;
}

/// A training set of the size of PhysioNet 2012's (70 % of 8000 stays) in batches of 200, eight modalities.
void methods() {
  std::cout << "| method | series encoder | parameters | training, CPU s per 5600 samples | answers per CPU s |\n"
               "|---|---|---|---|---|\n";
  const Data data;
  const auto row = [&](FusionMethod method, SeriesEncoder encoder) {
    FusionOptions options;
    options.method = method;
    options.encoder = encoder;
    const Cost cost = measured(options, data);
    std::cout << fmt::format("| {} | {} | {:.0f} | {:.2f} | {:.0f} |\n", enum_name(method), enum_name(encoder),
                             cost.parameters, 28 * cost.step, static_cast<double>(data.rows) / cost.answer)
              << std::flush;
  };
  for (const auto& encoder : enum_names(SeriesEncoder{})) row(FusionMethod::moe, encoder.value);
  for (const auto& method : enum_names(FusionMethod{}))
    if (method.value != FusionMethod::moe) row(method.value, SeriesEncoder::summary);
  for (const auto method : {FusionMethod::dense, FusionMethod::concat, FusionMethod::cross_attention})
    row(method, SeriesEncoder::utde);
}

void against_modalities() {
  std::cout << "\n| modalities |";
  for (const auto& router : enum_names(FusionRouter{})) std::cout << fmt::format(" {}, ms | MB |", router.name);
  std::cout << "\n|---|---|---|---|---|---|---|\n";
  for (const std::int64_t modalities : {2, 4, 8, 16, 32}) {
    std::cout << fmt::format("| {} |", modalities);
    for (const auto& router : enum_names(FusionRouter{})) {
      FusionOptions options;
      options.encoder = SeriesEncoder::mtand;
      options.router = router.value;
      const Cost cost = measured(options, {.modalities = modalities});
      std::cout << fmt::format(" {:.0f} | {:.0f} |", 1e3 * cost.step, cost.peak);
    }
    std::cout << '\n' << std::flush;
  }
}

void against_length() {
  std::cout << "\n| places in time | mtand, ms | MB | utde, ms | MB |\n|---|---|---|---|---|\n";
  for (const std::int64_t places : {50, 200, 800, 3200}) {
    std::cout << fmt::format("| {} |", places);
    for (const auto encoder : {SeriesEncoder::mtand, SeriesEncoder::utde}) {
      FusionOptions options;
      options.encoder = encoder;
      const Cost cost =
          measured(options, {.modalities = 2, .rows = 32, .places = places, .features = 30, .shared_times = false});
      std::cout << fmt::format(" {:.0f} | {:.0f} |", 1e3 * cost.step, cost.peak);
    }
    std::cout << '\n' << std::flush;
  }
}

}  // namespace

int main() {
  try {
    methods();
    against_modalities();
    against_length();
  } catch (const std::exception& e) {
    std::cerr << "fusion_model: " << e.what() << '\n';
    return 1;
  }
  return 0;
}
