// Random streams against the closed forms of their distributions (Boost.Math), and against pinned numbers.
//
// Every seed is fixed, so these tests never flicker. Their bounds are still those of a statistical test at level 1e-9:
// * real draws: P(sup |F_n - F| > e) <= 2 exp(-2 n e^2) (Dvoretzky-Kiefer-Wolfowitz with Massart's constant);
// * counts: Pearson's chi-square over cells with an expected count of at least 10;
// * moments: six standard errors (P < 2e-9 for a normal mean).
#include "clearway/base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/exponential.hpp>
#include <boost/math/distributions/gamma.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/poisson.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace clearway {
namespace {

constexpr double kLevel = 1e-9;

void expect_distribution(std::vector<double> sample, const std::function<double(double)>& cdf) {
  std::sort(sample.begin(), sample.end());
  const auto n = static_cast<double>(sample.size());
  double distance = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double f = cdf(sample[i]);
    distance = std::max({distance, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  EXPECT_LT(distance, std::sqrt(std::log(2.0 / kLevel) / (2.0 * n)));
}

template <class Draw>
std::vector<double> sample_of(std::size_t n, Draw draw) {
  std::vector<double> sample(n);
  for (auto& value : sample) value = static_cast<double>(draw());
  return sample;
}

/// Pearson's chi-square of counts against a probability mass function on 0, 1, 2, ...
void expect_mass(const std::vector<double>& sample, const std::function<double(int)>& mass, int largest) {
  std::map<int, double> seen;
  for (const double value : sample) seen[static_cast<int>(value)] += 1;
  const auto n = static_cast<double>(sample.size());
  double statistic = 0, observed = 0, expected = 0, total_mass = 0;
  int cells = 0;
  for (int k = 0; k <= largest; ++k) {
    observed += seen[k];
    expected += n * mass(k);
    total_mass += mass(k);
    if (expected >= 10 && (1 - total_mass) * n >= 10) {
      statistic += (observed - expected) * (observed - expected) / expected;
      observed = expected = 0;
      ++cells;
    }
  }
  expected += n * std::max(0.0, 1 - total_mass);
  for (const auto& [k, count] : seen)
    if (k > largest) observed += count;
  statistic += (observed - expected) * (observed - expected) / std::max(expected, 1e-300);
  ASSERT_GE(cells, 1);  // and the rest, which takes no degree of freedom of its own
  EXPECT_LT(statistic, quantile(complement(boost::math::chi_squared(cells), kLevel))) << cells << " cells";
}

TEST(RandomStream, RealDrawsFollowTheirDistributions) {
  using namespace boost::math;
  constexpr std::size_t n = 50000;
  RandomStream r(20261120);
  expect_distribution(sample_of(n, [&] { return r.uniform(); }), [](double x) { return x; });
  expect_distribution(sample_of(n, [&] { return r.uniform(-3, 5); }), [](double x) { return (x + 3) / 8; });
  expect_distribution(sample_of(n, [&] { return r.normal(); }), [](double x) { return cdf(normal(), x); });
  expect_distribution(sample_of(n, [&] { return r.exponential(); }), [](double x) { return cdf(exponential(), x); });
  for (const double shape : {0.3, 1.0, 2.5, 40.0})
    expect_distribution(sample_of(n, [&] { return r.gamma(shape); }),
                        [&](double x) { return cdf(gamma_distribution<>(shape), x); });
  for (const double degrees : {1.0, 4.0, 30.0})
    expect_distribution(sample_of(n, [&] { return r.student_t(degrees); }),
                        [&](double x) { return cdf(students_t(degrees), x); });
}

TEST(RandomStream, CountsFollowTheirDistributions) {
  using namespace boost::math;
  constexpr std::size_t n = 100000;
  RandomStream r(7);
  for (const double mean : {0.2, 3.0, 29.9, 30.0, 250.0, 4000.0})  // both sides of the switch at 30
    expect_mass(
        sample_of(n, [&] { return r.poisson(mean); }), [&](int k) { return pdf(poisson(mean), k); },
        static_cast<int>(mean + 12 * std::sqrt(mean) + 20));
  struct Case {
    int trials;
    double probability;
  };
  for (const auto& [trials, probability] :
       {Case{1, 0.3}, {20, 0.45}, {19, 0.5}, {21, 0.5}, {400, 0.9}, {5000, 0.02}, {100000, 0.3}})
    expect_mass(
        sample_of(n, [&, t = trials, p = probability] { return r.binomial(t, p); }),
        [&, t = trials, p = probability](int k) { return pdf(binomial(t, p), k); }, trials);
  const std::vector<double> weights{0.0, 1.0, 0.0, 6.0, 3.0, 0.0};
  expect_mass(
      sample_of(n, [&] { return r.categorical(weights.data(), weights.size()); }),
      [&](int k) { return weights[static_cast<std::size_t>(k)] / 10; }, 5);
  expect_mass(
      sample_of(n, [&] { return r.index(37); }), [](int) { return 1.0 / 37; }, 36);
}

TEST(RandomStream, MomentsAreThoseOfTheClosedForms) {
  RandomStream r(3);
  constexpr std::size_t n = 200000;
  const auto expect_moments = [&](const std::vector<double>& x, double mean, double variance, double fourth) {
    double sum = 0, squares = 0;
    for (const double v : x) sum += v - mean, squares += (v - mean) * (v - mean);
    EXPECT_NEAR(sum / n, 0, 6 * std::sqrt(variance / n));
    EXPECT_NEAR(squares / n, variance, 6 * std::sqrt((fourth - variance * variance) / n));
  };
  // Fourth central moments: normal 3, gamma(a) 3a^2 + 6a, Poisson(m) m + 3m^2.
  expect_moments(sample_of(n, [&] { return r.normal(); }), 0, 1, 3);
  expect_moments(sample_of(n, [&] { return r.gamma(5); }), 5, 5, 3 * 25 + 30);
  expect_moments(sample_of(n, [&] { return r.poisson(1e6); }), 1e6, 1e6, 1e6 + 3e12);
  expect_moments(sample_of(n, [&] { return r.poisson(12); }), 12, 12, 12 + 3 * 144);
  const double variance = 1e9 * 0.25;  // binomial: sigma^4 (3 + (1 - 6 p q) / sigma^2)
  expect_moments(sample_of(n, [&] { return r.binomial(1000000000, 0.5); }), 5e8, variance,
                 variance * variance * (3 + (1 - 1.5) / variance));
}

TEST(RandomStream, EndsOfTheRangesAreExact) {
  RandomStream r(1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(r.poisson(0), 0);
    EXPECT_EQ(r.binomial(0, 0.4), 0);
    EXPECT_EQ(r.binomial(50, 0), 0);
    EXPECT_EQ(r.binomial(50, 1), 50);
    EXPECT_EQ(r.index(1), 0u);
    const double u = r.uniform();
    EXPECT_TRUE(u >= 0 && u < 1);
    const auto b = r.binomial(30, 0.5);
    EXPECT_TRUE(b >= 0 && b <= 30);
  }
}

TEST(RandomStream, PermutationsAndSamplesAreUniform) {
  RandomStream r(11);
  constexpr std::size_t n = 60000;
  std::map<std::vector<std::size_t>, int> code;
  std::vector<std::size_t> p{0, 1, 2, 3};
  do code.emplace(p, static_cast<int>(code.size()));
  while (std::next_permutation(p.begin(), p.end()));
  expect_mass(
      sample_of(n, [&] { return code.at(r.permutation(4)); }), [](int) { return 1.0 / 24; }, 23);

  std::map<std::vector<std::size_t>, int> subsets;
  for (std::size_t a = 0; a < 6; ++a)
    for (std::size_t b = a + 1; b < 6; ++b)
      for (std::size_t c = b + 1; c < 6; ++c) subsets.emplace(std::vector{a, b, c}, static_cast<int>(subsets.size()));
  expect_mass(  // .at() also proves that samples are increasing and distinct
      sample_of(n, [&] { return subsets.at(r.sample_without_replacement(6, 3)); }), [](int) { return 1.0 / 20; }, 19);
  EXPECT_TRUE(r.sample_without_replacement(5, 0).empty());
  EXPECT_EQ(r.sample_without_replacement(3, 3), (std::vector<std::size_t>{0, 1, 2}));
}

TEST(RandomStream, StreamsAreNamedBySeedAndNumber) {
  std::set<double> first;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (std::uint64_t stream = 0; stream < 20; ++stream) {
      RandomStream a(seed, stream);
      RandomStream b(seed, stream);
      const double value = a.uniform();
      EXPECT_EQ(value, b.uniform());
      first.insert(value);
    }
  EXPECT_EQ(first.size(), 400u);
  EXPECT_NE(RandomStream(1, std::uint64_t{1} << 32).uniform(), RandomStream(1, 0).uniform());
  // Neighbouring streams are uncorrelated: the correlation of n pairs has standard error 1 / sqrt(n).
  RandomStream a(5, 1), b(5, 2);
  double product = 0;
  constexpr int n = 100000;
  for (int i = 0; i < n; ++i) product += a.normal() * b.normal();
  EXPECT_LT(std::fabs(product / n), 6 / std::sqrt(n));
}

TEST(RandomStream, GoldenValuesDoNotChange) {
  // Integers are exact on every machine; reals that pass through log and pow may differ in the last places (1e-14).
  RandomStream r(42, 3);
  EXPECT_EQ(r.index(std::uint64_t{1} << 63), 3299672429880625161u);
  EXPECT_EQ(r.uniform(), 0.61777878404363473);
  EXPECT_NEAR(r.normal(), -1.456562806728122, 1e-14);
  EXPECT_NEAR(r.gamma(0.5), 1.1968105218016991, 1e-14);
  EXPECT_NEAR(r.student_t(4), 0.96545975527524908, 1e-14);
  EXPECT_EQ(r.poisson(100), 97);
  EXPECT_EQ(r.binomial(100, 0.4), 42);
  EXPECT_EQ(r.permutation(5), (std::vector<std::size_t>{3, 0, 1, 2, 4}));
  EXPECT_EQ(r.sample_without_replacement(100, 4), (std::vector<std::size_t>{17, 44, 46, 61}));
}

TEST(RandomStream, SeedingIsThatOfTheStandard) {
  // The engine's state comes from std::seed_seq of the four 32-bit halves, both fixed by the C++ standard.
  std::seed_seq sequence{42u, 0u, 3u, 0u};
  std::mt19937_64 engine(sequence);
  EXPECT_EQ(RandomStream(42, 3).uniform(), static_cast<double>(engine() >> 11) / 9007199254740992.0);
}

void expect_message(const std::function<void()>& call, const std::string& part) {
  try {
    call();
    FAIL() << "no exception, expected one with: " << part;
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(RandomStream, WrongArgumentsAreNamed) {
  RandomStream r(1);
  const double nan = std::nan("");
  expect_message([&] { r.gamma(0); }, "shape of a gamma draw must be above 0, not 0");
  expect_message([&] { r.gamma(nan); }, "not nan");
  expect_message([&] { r.student_t(-1); }, "must be above 0, not -1");
  expect_message([&] { r.poisson(-0.5); }, "not -0.5");
  expect_message([&] { r.poisson(nan); }, "not nan");
  expect_message([&] { r.binomial(-2, 0.5); }, "not -2");
  expect_message([&] { r.binomial(2, 1.5); }, "must lie in [0, 1], not 1.5");
  expect_message([&] { r.index(0); }, "bound of at least 1");
  const double negative[] = {1, -1};
  const double zero[] = {0, 0};
  expect_message([&] { r.categorical(negative, 2); }, "weight 1 of a categorical draw must be at least 0, not -1");
  expect_message([&] { r.categorical(zero, 2); }, "positive finite sum");
  expect_message([&] { r.sample_without_replacement(3, 4); }, "cannot draw 4 distinct indices out of 3");
}

}  // namespace
}  // namespace clearway
