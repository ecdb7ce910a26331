// The fused pass of EM against whole-matrix forms: rows 14 to 16 of the benchmark table (bench/ratios.json).
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/stat/em_pass.hpp"
#include "em_pass_kernels.hpp"
#include "matrix_form.hpp"

namespace clearway {
namespace {

// Softmax-gated Gaussian experts, inputs uniform on (-2, 2).
struct Problem {
  Matrix x, responsibilities;
  Vector y;
  TiledMatrix tiled_x, tiled_y;
  EmParameters parameters;

  Problem(Eigen::Index n, Eigen::Index columns, Eigen::Index K) {
    RandomStream random(1);
    x = Matrix::NullaryExpr(n, columns, [&] { return random.uniform(-2.0, 2.0); });
    x.col(0).setOnes();
    parameters.coefficients = Matrix::NullaryExpr(columns, K, [&] { return random.normal(); });
    parameters.gate = Matrix::NullaryExpr(columns, K, [&] { return random.normal(); });
    parameters.gate.col(K - 1).setZero();
    parameters.sigma = Vector::Constant(K, 0.5);
    y = x * parameters.coefficients.col(0);
    tiled_x = TiledMatrix(x);
    tiled_y = TiledMatrix(y);
    responsibilities.resize(n, K);
  }
  EmData data() const { return {&tiled_x, &tiled_x, &tiled_y}; }
};

// One problem at a time in memory, shared by the two sides of a ratio.
Problem& problem(Eigen::Index n, Eigen::Index columns, Eigen::Index K) {
  static std::map<std::tuple<Eigen::Index, Eigen::Index, Eigen::Index>, std::unique_ptr<Problem>> made;
  auto& slot = made[{n, columns, K}];
  if (!slot) slot = std::make_unique<Problem>(n, columns, K);
  return *slot;
}

constexpr Eigen::Index kRows = 100000;

void e_step_ours(benchmark::State& state) {
  Problem& p = problem(kRows, state.range(0) + 1, state.range(1));
  EmPass pass(p.data(), state.range(1));
  EmSums sums;
  for (auto _ : state) pass.run(p.parameters, EmParts::likelihood(), sums, 1, &p.responsibilities);
  state.counters["log_likelihood"] = sums.log_likelihood;
}

template <double (*Form)(int, int, int, const double*, const double*, const double*, const double*, const double*,
                         double*)>
void e_step_matrix(benchmark::State& state) {
  Problem& p = problem(kRows, state.range(0) + 1, state.range(1));
  double value = 0.0;
  for (auto _ : state)
    value = Form(static_cast<int>(p.x.rows()), static_cast<int>(p.x.cols()), static_cast<int>(state.range(1)),
                 p.x.data(), p.y.data(), p.parameters.coefficients.data(), p.parameters.gate.data(),
                 p.parameters.sigma.data(), p.responsibilities.data());
  state.counters["log_likelihood"] = value;
}

#define E_STEP_SIZES ->Args({10, 4})->Args({50, 4})->Args({100, 10})->Unit(benchmark::kMillisecond)
BENCHMARK(e_step_ours) E_STEP_SIZES;
BENCHMARK(e_step_matrix<bench::e_step>)->Name("e_step_matrix") E_STEP_SIZES;
BENCHMARK(e_step_matrix<bench::e_step_by_rows>)->Name("e_step_by_rows") E_STEP_SIZES;

constexpr Eigen::Index kGramRows = 50000;
constexpr Eigen::Index kGramExperts = 4;

// The products kernel as the pass calls it: blocks of rows, weights beside them.
void gram_ours(benchmark::State& state) {
  constexpr std::size_t kTile = TiledMatrix::kTile, kBlockTiles = 64;
  Problem& p = problem(kGramRows, state.range(0), kGramExperts);
  EmPass pass(p.data(), kGramExperts);
  EmSums sums;
  pass.run(p.parameters, EmParts::likelihood(), sums, 1, &p.responsibilities);
  const TiledMatrix weights(p.responsibilities);
  const auto columns = static_cast<std::size_t>(state.range(0)), pairs = columns * (columns + 1) / 2;
  std::vector<double> out(pairs * kGramExperts);
  for (auto _ : state) {
    std::fill(out.begin(), out.end(), 0.0);
    for (std::size_t t = 0; t < static_cast<std::size_t>(p.tiled_x.tiles()); t += kBlockTiles) {
      detail::ProductsBlock block;
      block.a = block.b = p.tiled_x.tile(static_cast<Eigen::Index>(t));
      block.a_cols = block.b_cols = columns;
      block.symmetric = true;
      block.record = weights.tile(static_cast<Eigen::Index>(t));
      block.record_stride = kGramExperts * kTile;
      block.weights = kGramExperts;
      block.tiles = std::min(kBlockTiles, static_cast<std::size_t>(p.tiled_x.tiles()) - t);
      block.out = out.data();
      block.out_stride = pairs;
      detail::em_kernels().products(block);
    }
    benchmark::DoNotOptimize(out.data());
  }
}

void gram_matrix(benchmark::State& state) {
  Problem& p = problem(kGramRows, state.range(0), kGramExperts);
  EmPass pass(p.data(), kGramExperts);
  EmSums sums;
  pass.run(p.parameters, EmParts::likelihood(), sums, 1, &p.responsibilities);
  std::vector<double> out(static_cast<std::size_t>(state.range(0) * state.range(0) * kGramExperts));
  for (auto _ : state)
    bench::weighted_grams(static_cast<int>(p.x.rows()), static_cast<int>(p.x.cols()), kGramExperts, p.x.data(),
                          p.responsibilities.data(), out.data());
}

#define GRAM_SIZES ->Arg(12)->Arg(48)->Arg(96)->Unit(benchmark::kMillisecond)
BENCHMARK(gram_ours) GRAM_SIZES;
BENCHMARK(gram_matrix) GRAM_SIZES;

// A whole pass: everything an iteration of EM with a Newton step for the gate needs.
void pass_all(benchmark::State& state) {
  Problem& p = problem(state.range(0), 11, 4);
  EmPass pass(p.data(), 4);
  EmSums sums;
  for (auto _ : state) pass.run(p.parameters, EmParts::all(), sums);
}
BENCHMARK(pass_all)->Arg(1000)->Arg(10000)->Arg(100000)->Arg(1000000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clearway

BENCHMARK_MAIN();
