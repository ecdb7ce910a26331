// The sparse layer's side of bench/moe-layer: reads commands from standard input, answers each with one line of numbers.
//
//   peak                                  multiply-adds of this processor, GFLOP/s, from registers only
//   layer N K d h T zipf float32|bfloat16 makes a layer of GELU experts and T tokens; zipf 1 for a skewed router
//   forward, both, full                   CPU seconds of mix(), mix() with gradients, both and a step of AdamW
//   adamw, adamw_torch                    CPU seconds per parameter of one step: ours, torch::optim::AdamW
//   threads                               both on two threads: CPU seconds of the busier one
//   share                                 CPU seconds of scores, softmax and top-k; of sorting; of combining
//   error                                 largest difference of bfloat16 to float32, relative to the root mean square
//
// One command is one measurement, so that bench/moe_layer.py can take turns between this and torch's Python side: the
// machine may be busy, and then only ratios of neighbours mean something.
#include <ATen/Parallel.h>
#include <immintrin.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <ctime>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "clearway/deep/expert_bank.hpp"
#include "clearway/train/adamw.hpp"
#include "kernels/feed_forward.hpp"
#include "kernels/grouping.hpp"

namespace {

using namespace clearway;

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
double cpu() {
  return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

template <class Work>
double measured(const Work& work) {
  const double start = cpu();
  work();
  return cpu() - start;
}

/// 24 independent sums, as many as the kernels keep.
__attribute__((target("avx512f"))) double peak_avx512(int rounds) {
  __m512 sum[24];
  for (auto& s : sum) s = _mm512_set1_ps(1e-3f);
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
  const double start = cpu();
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 24
    for (int j = 0; j < 24; ++j) sum[j] = _mm512_fmadd_ps(sum[j], a, b);
  }
  const double time = cpu() - start;
  __m512 total = sum[0];
  for (int j = 1; j < 24; ++j) total = _mm512_add_ps(total, sum[j]);
  volatile float sink = _mm512_reduce_add_ps(total);
  (void)sink;
  return 24.0 * 16 * 2 * rounds / time * 1e-9;
}
__attribute__((target("avx2,fma"))) double peak_avx2(int rounds) {
  __m256 sum[12];
  for (auto& s : sum) s = _mm256_set1_ps(1e-3f);
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
  const double start = cpu();
  for (int i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) sum[j] = _mm256_fmadd_ps(sum[j], a, b);
  }
  const double time = cpu() - start;
  __m256 total = sum[0];
  for (int j = 1; j < 12; ++j) total = _mm256_add_ps(total, sum[j]);
  alignas(32) float out[8];
  _mm256_store_ps(out, total);
  volatile float sink = out[0];
  (void)sink;
  return 12.0 * 8 * 2 * rounds / time * 1e-9;
}
double peak() {
  return __builtin_cpu_supports("avx512f") ? peak_avx512(2'000'000) : peak_avx2(4'000'000);
}

struct Layer {
  deep::ExpertOptions options;
  std::int64_t top_k = 1, tokens = 1;
  bool zipf = false;
  std::unique_ptr<deep::ExpertBank> bank;
  std::unique_ptr<train::AdamW> optimiser;
  std::unique_ptr<torch::optim::AdamW> torch_optimiser;
  torch::Tensor x, router, gradient;
  deep::Assignments assignments;
  std::int64_t numbers = 0;

  torch::Tensor scores() const {
    torch::Tensor out = at::mm(x, router);
    if (zipf) out = out - 1.5 * at::arange(1, options.experts + 1, at::kFloat).log();
    return out;
  }
  deep::Assignments routed() const {
    const auto best = scores().topk(top_k, 1);
    return deep::assignments_from_slots(std::get<1>(best), std::get<0>(best).softmax(1));
  }

  explicit Layer(std::istream& in) {
    std::string compute;
    int skewed = 0;
    in >> options.experts >> top_k >> options.inputs >> options.hidden >> tokens >> skewed >> compute;
    zipf = skewed != 0;
    options.activation = deep::ExpertActivation::gelu;
    options.compute = compute == "bfloat16" ? deep::ComputeType::bfloat16 : deep::ComputeType::float32;
    options.bias = false;
    torch::manual_seed(1);
    bank = std::make_unique<deep::ExpertBank>(options);
    std::vector<train::NamedTensor> named;
    for (const auto& p : bank->named_parameters()) {
      named.push_back({p.key(), p.value()});
      numbers += p.value().numel();
    }
    optimiser = std::make_unique<train::AdamW>(named, train::AdamWOptions{});
    x = at::randn({tokens, options.inputs});
    router = at::randn({options.inputs, options.experts}) / std::sqrt(static_cast<double>(options.inputs));
    gradient = at::randn({tokens, options.inputs});
    assignments = routed();
    assignments.weights = assignments.weights.detach().clone().requires_grad_();
    x = x.requires_grad_();
  }

  void clear() {
    for (auto& p : bank->parameters()) p.mutable_grad().reset();
    x.mutable_grad().reset();
    assignments.weights.mutable_grad().reset();
  }
  void forward() const {
    const at::NoGradGuard no_grad;
    bank->mix(x, assignments);
  }
  void both() {
    clear();
    bank->mix(x, assignments).backward(gradient);
  }
};

std::string share(const Layer& layer) {
  const at::NoGradGuard no_grad;
  const double routing = measured([&] { layer.routed(); });
  const auto numbers = [](const torch::Tensor& t) {
    return std::span(t.data_ptr<std::int64_t>(), static_cast<std::size_t>(t.numel()));
  };
  const torch::Tensor tokens = layer.assignments.tokens.contiguous(), experts = layer.assignments.experts.contiguous();
  kernels::Groups by_token;
  const double sorting = measured([&] {
    kernels::group_by(numbers(experts), layer.options.experts, "experts");
    by_token = kernels::group_by(numbers(tokens), layer.tokens, "tokens");
  });
  const torch::Tensor y = at::randn({tokens.numel(), layer.options.inputs});
  torch::Tensor out = at::empty_like(layer.x);
  const double combining = measured([&] {
    kernels::combine(y.data_ptr<float>(), layer.assignments.weights.data_ptr<float>(), by_token,
                     static_cast<std::size_t>(layer.options.inputs), 1, out.data_ptr<float>());
  });
  return std::to_string(routing) + " " + std::to_string(sorting) + " " + std::to_string(combining);
}

double busier_of_two(Layer& layer) {
  at::set_num_threads(2);
  const double process = cpu(), own = seconds(CLOCK_THREAD_CPUTIME_ID);
  const torch::Tensor y = layer.bank->mix(layer.x, layer.assignments);
  // Backward runs on this thread, too: torch gives CPU nodes to the caller.
  y.backward(layer.gradient);
  const double mine = seconds(CLOCK_THREAD_CPUTIME_ID) - own, all = cpu() - process;
  at::set_num_threads(1);
  return std::max(mine, all - mine);
}

double bfloat16_error(const Layer& layer) {
  const at::NoGradGuard no_grad;
  deep::ExpertOptions options = layer.options;
  torch::Tensor answers[2];
  for (const auto compute : {deep::ComputeType::float32, deep::ComputeType::bfloat16}) {
    options.compute = compute;
    deep::ExpertBank bank(options);
    bank.w1 = layer.bank->w1;
    bank.w2 = layer.bank->w2;
    answers[compute == deep::ComputeType::bfloat16] = bank.mix(layer.x, layer.assignments);
  }
  return ((answers[1] - answers[0]).norm() / answers[0].norm()).item<double>();
}

}  // namespace

int main() {
  at::set_num_threads(1);
  std::unique_ptr<Layer> layer;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string command;
    in >> command;
    if (command == "peak") {
      std::cout << peak();
    } else if (command == "layer") {
      layer.reset();
      layer = std::make_unique<Layer>(in);
      std::cout << layer->numbers;
    } else if (!layer) {
      std::cerr << "moe_layer: '" << command << "' needs a layer first\n";
      return 2;
    } else if (command == "forward") {
      std::cout << measured([&] { layer->forward(); });
    } else if (command == "both") {
      std::cout << measured([&] { layer->both(); });
    } else if (command == "full") {
      std::cout << measured([&] {
        layer->both();
        layer->optimiser->step(1e-3);
      });
    } else if (command == "adamw") {
      std::cout << measured([&] { layer->optimiser->step(1e-3); }) / static_cast<double>(layer->numbers);
    } else if (command == "adamw_torch") {
      if (!layer->torch_optimiser)
        layer->torch_optimiser =
            std::make_unique<torch::optim::AdamW>(layer->bank->parameters(), torch::optim::AdamWOptions(1e-3));
      std::cout << measured([&] { layer->torch_optimiser->step(); }) / static_cast<double>(layer->numbers);
    } else if (command == "threads") {
      layer->clear();
      std::cout << busier_of_two(*layer);
    } else if (command == "share") {
      std::cout << share(*layer);
    } else if (command == "error") {
      std::cout << bfloat16_error(*layer);
    } else {
      std::cerr << "moe_layer: unknown command '" << command << "'\n";
      return 2;
    }
    std::cout << std::endl;
  }
}
