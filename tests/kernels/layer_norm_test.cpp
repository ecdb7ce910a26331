// Layer norm of every instruction set against the formulas written as plain loops in double, and against differences of
// those.
#include "kernels/layer_norm.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/instruction_sets.hpp"

namespace clearway::kernels {
namespace {

constexpr double kEpsilon = 1e-5;

struct Problem {
  std::size_t rows, width;
  std::vector<float> x, weight, bias, dy;

  Problem(std::size_t r, std::size_t d, unsigned seed, float shift = 0) : rows(r), width(d) {
    std::mt19937 random(seed);
    const auto normal = [&](std::size_t count, float mean) {
      std::normal_distribution<float> draw(mean, 1);
      std::vector<float> numbers(count);
      for (float& v : numbers) v = draw(random);
      return numbers;
    };
    x = normal(r * d, shift);
    weight = normal(d, 0);
    bias = normal(d, 0);
    dy = normal(r * d, 0);
  }
};

template <class Number>
struct Answers {
  std::vector<Number> y, dx, dweight, dbias;
};

Answers<float> computed(const Problem& p, const KernelTable* table, int threads = 1) {
  Answers<float> a;
  const float nothing = std::nanf("");  // all must be overwritten
  a.y.assign(p.x.size(), nothing);
  a.dx = a.y;
  a.dweight.assign(p.width, nothing);
  a.dbias = a.dweight;
  std::vector<float> mean(p.rows), slope(p.rows);
  LayerNormRows forward;
  forward.rows = p.rows;
  forward.width = p.width;
  forward.x = p.x.data();
  forward.weight = p.weight.data();
  forward.bias = p.bias.data();
  forward.epsilon = static_cast<float>(kEpsilon);
  forward.y = a.y.data();
  forward.mean = mean.data();
  forward.slope = slope.data();
  layer_norm(forward, threads, table);
  LayerNormRowsBackward backward;
  backward.rows = p.rows;
  backward.width = p.width;
  backward.x = p.x.data();
  backward.weight = p.weight.data();
  backward.mean = mean.data();
  backward.slope = slope.data();
  backward.dy = p.dy.data();
  backward.dx = a.dx.data();
  backward.dweight = a.dweight.data();
  backward.dbias = a.dbias.data();
  layer_norm_backward(backward, threads, table);
  return a;
}

/// One row's values and, by the chain rule through mean and variance, its gradients.
Answers<double> row_of(const Problem& p, const std::vector<double>& x, std::size_t r) {
  const auto d = static_cast<double>(p.width);
  Answers<double> a;
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / d;
  for (const double v : x) variance += (v - mean) * (v - mean) / d;
  const double root = std::sqrt(variance + kEpsilon);
  double by_mean = 0, by_variance = 0;
  for (std::size_t i = 0; i < p.width; ++i) {
    const double unit = (x[i] - mean) / root, given = p.dy[r * p.width + i], g = given * p.weight[i];
    a.y.push_back(unit * p.weight[i] + p.bias[i]);
    a.dweight.push_back(given * unit);
    a.dbias.push_back(given);
    by_mean -= g / root;
    by_variance -= g * (x[i] - mean) / (2 * root * root * root);
  }
  for (std::size_t i = 0; i < p.width; ++i)
    a.dx.push_back(p.dy[r * p.width + i] * p.weight[i] / root + by_mean / d + by_variance * 2 * (x[i] - mean) / d);
  return a;
}

std::vector<double> input_row(const Problem& p, std::size_t r) {
  const auto begin = p.x.begin() + static_cast<std::ptrdiff_t>(r * p.width);
  return {begin, begin + static_cast<std::ptrdiff_t>(p.width)};
}

/// Largest difference relative to the largest number, or to 1.
double error(const std::vector<float>& found, const std::vector<double>& truth) {
  double difference = 0, size = 1;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (!(std::abs(found[i] - truth[i]) <= difference)) difference = std::abs(found[i] - truth[i]);
    size = std::max(size, std::abs(truth[i]));
    if (std::isnan(found[i])) return found[i];
  }
  return difference / size;
}

/// "" when the kernels of all instruction sets agree with the formulas.
std::string disagreement(const Problem& p, double bound) {
  Answers<double> truth;
  truth.dweight.resize(p.width);
  truth.dbias.resize(p.width);
  for (std::size_t r = 0; r < p.rows; ++r) {
    const Answers<double> row = row_of(p, input_row(p, r), r);
    truth.y.insert(truth.y.end(), row.y.begin(), row.y.end());
    truth.dx.insert(truth.dx.end(), row.dx.begin(), row.dx.end());
    for (std::size_t i = 0; i < p.width; ++i) {
      truth.dweight[i] += row.dweight[i];
      truth.dbias[i] += row.dbias[i];
    }
  }
  std::string out;
  for (const KernelTable* table : available_kernels()) {
    const Answers<float> found = computed(p, table);
    const auto check = [&](const char* name, const std::vector<float>& a, const std::vector<double>& b) {
      if (!(error(a, b) <= bound))
        out += std::string(table->name) + ": " + name + " " + std::to_string(error(a, b)) + "\n";
    };
    check("y", found.y, truth.y);
    check("dx", found.dx, truth.dx);
    check("dweight", found.dweight, truth.dweight);
    check("dbias", found.dbias, truth.dbias);
  }
  return out;
}

// Sums of d numbers in float err by at most d units of 6e-8, in practice by the root of d. Where the d numbers of a row differ
// little (at d = 2, by chance), s is large, but below 1 / sqrt(epsilon) = 316, and so is what it makes of a unit.
RC_GTEST_PROP(LayerNorm, EqualsPlainLoops, ()) {
  const auto rows = *rc::gen::inRange<std::size_t>(1, 60), width = *rc::gen::inRange<std::size_t>(1, 150);
  RC_ASSERT(disagreement(Problem(rows, width, *rc::gen::arbitrary<unsigned>()), width < 8 ? 316 * 1e-6 : 1e-5) == "");
}

TEST(LayerNorm, EqualsPlainLoopsWhereBlocksEnd) {
  EXPECT_EQ(disagreement(Problem(1, 1, 1), 1e-5), "");
  EXPECT_EQ(disagreement(Problem(1100, 33, 2), 1e-5), "");  // three blocks, one with a rest
  EXPECT_EQ(disagreement(Problem(512, 128, 3), 1e-5), "");
  EXPECT_EQ(disagreement(Problem(0, 5, 4), 1e-5), "");
}

// Far from 0 an x is known to 100 x 6e-8 only, and so is its distance from the mean.
TEST(LayerNorm, StandsRowsFarFromZero) {
  EXPECT_EQ(disagreement(Problem(20, 64, 5, 100), 1e-4), "");
}

// Central differences in double, whose error is of the order of 1e-9.
TEST(LayerNorm, GradientsAreDifferencesOfTheDefinition) {
  const Problem p(1, 11, 6);
  for (const KernelTable* table : available_kernels()) {
    const Answers<float> found = computed(p, table);
    std::vector<double> x = input_row(p, 0);
    const auto value = [&] {
      const std::vector<double> y = row_of(p, x, 0).y;
      double sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * p.dy[i];
      return sum;
    };
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double at = x[i], h = 1e-5;
      x[i] = at + h;
      const double above = value();
      x[i] = at - h;
      const double below = value();
      x[i] = at;
      EXPECT_NEAR(found.dx[i], (above - below) / (2 * h), 1e-5) << table->name << " " << i;
    }
  }
}

TEST(LayerNorm, DoesNotDependOnThreads) {
  const Problem p(2100, 2100, 7);  // enough for the threads to be used
  const Answers<float> one = computed(p, nullptr, 1), two = computed(p, nullptr, 2);
  EXPECT_TRUE(one.y == two.y && one.dx == two.dx && one.dweight == two.dweight && one.dbias == two.dbias);
}

}  // namespace
}  // namespace clearway::kernels
