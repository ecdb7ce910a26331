// The third moment of the spectral method against the explicit d^3 tensor, and many restarts of the decomposition
// against one: rows 17 and 18 of the benchmark table (bench/ratios.json). Two algorithms are compared, so both sides are
// compiled alike.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/stat/moments.hpp"
#include "clearway/stat/tensor_decomposition.hpp"

namespace clearway {
namespace {

constexpr Eigen::Index kExperts = 4;

// Gaussian inputs, four linear experts behind a softmax gate, transformed responses of about the right size.
struct Problem {
  Matrix x, v;
  InputMoments inputs;
  Matrix basis;

  Problem(Eigen::Index n, Eigen::Index d) : x(n, d), v(n, 1) {
    RandomStream random(1);
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = random.normal();
    for (Eigen::Index i = 0; i < n; ++i) {
      const double mean = x(i, static_cast<Eigen::Index>(random.index(kExperts)));
      v(i, 0) = mean * mean * mean - 3.0 * mean;
    }
    inputs = input_moments(x, v, 1);
    basis = top_eigen(second_moment(x, v, 0, inputs, nullptr, 1).m2, kExperts).vectors;
  }
};

Problem& problem(Eigen::Index n, Eigen::Index d) {
  static std::map<std::pair<Eigen::Index, Eigen::Index>, std::unique_ptr<Problem>> made;
  auto& slot = made[{n, d}];
  if (!slot) slot = std::make_unique<Problem>(n, d);
  return *slot;
}

// sum_t v_t x_t (x) x_t (x) x_t, entries with i <= j <= l only: for every i a weighted Gram matrix of the columns from i on.
// Blocks of rows stay in cache for all d products.
void explicit_third_moment(const Matrix& x, const Vector& v, std::vector<Matrix>& slices) {
  constexpr Eigen::Index kBlockRows = 512;
  const Eigen::Index n = x.rows(), d = x.cols();
  for (Matrix& slice : slices) slice.setZero(d, d);
  Matrix scaled;
  for (Eigen::Index first = 0; first < n; first += kBlockRows) {
    const Eigen::Index rows = std::min(kBlockRows, n - first);
    for (Eigen::Index i = 0; i < d; ++i) {
      const auto rest = x.block(first, i, rows, d - i);
      scaled = rest.array().colwise() * (v.segment(first, rows).array() * x.col(i).segment(first, rows).array());
      slices[static_cast<std::size_t>(i)].bottomRightCorner(d - i, d - i).triangularView<Eigen::Lower>() +=
          scaled.transpose() * rest;
    }
  }
}

void third_moment_projected(benchmark::State& state) {
  const Problem& p = problem(100000, state.range(0));
  for (auto _ : state) {
    SymmetricTensor3 t = third_moment(p.x, p.v, 0, p.inputs, p.basis, nullptr, 1);
    benchmark::DoNotOptimize(t.unfolded().data());
  }
}

void third_moment_explicit(benchmark::State& state) {
  const Problem& p = problem(100000, state.range(0));
  std::vector<Matrix> slices(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) explicit_third_moment(p.x, p.v.col(0), slices);
}

#define MOMENT_SIZES ->Arg(50)->Arg(100)->Unit(benchmark::kMillisecond)
BENCHMARK(third_moment_projected) MOMENT_SIZES;
BENCHMARK(third_moment_explicit) MOMENT_SIZES;

// All of the work on the third moment: projection and decomposition with so many restarts.
void restarts(benchmark::State& state) {
  const Problem& p = problem(1000000, 10);
  const Vector m2 = Vector::Ones(kExperts);
  DecompositionOptions options;
  options.starts = static_cast<int>(state.range(0));
  for (auto _ : state) {
    const SymmetricTensor3 t = third_moment(p.x, p.v, 0, p.inputs, p.basis, nullptr, 1);
    benchmark::DoNotOptimize(decompose(m2, t, options).residual);
  }
}
BENCHMARK(restarts)->Arg(1)->Arg(16)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clearway

BENCHMARK_MAIN();
