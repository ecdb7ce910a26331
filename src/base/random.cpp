#include "clearway/base/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace {

constexpr double kHalfLogTwoPi = 0.91893853320467274178;
/// Counts above this lose digits in double arithmetic; nobody simulates them.
constexpr double kLargestCount = 1e15;

/// What Stirling's formula misses: log k! = (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2 + stirling_tail(k).
/// The series in 1/(k+1) is exact to 1e-13 from k = 16 on; smaller k are computed from k! itself.
double stirling_tail(double k) {
  constexpr int kTable = 16;
  static const std::array<double, kTable> table = [] {
    std::array<double, kTable> t{};
    double factorial = 1.0;
    for (int i = 0; i < kTable; ++i) {
      if (i > 0) factorial *= i;
      t[static_cast<std::size_t>(i)] =
          std::log(factorial) - ((i + 0.5) * std::log(i + 1.0) - (i + 1.0) + kHalfLogTwoPi);
    }
    return t;
  }();
  if (k < kTable) return table[static_cast<std::size_t>(k)];
  const double z = k + 1.0;
  const double z2 = z * z;
  return (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / z2) / z2) / z2) / z;
}

double log_factorial(double k) {
  return (k + 0.5) * std::log(k + 1.0) - (k + 1.0) + kHalfLogTwoPi + stirling_tail(k);
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::uint64_t stream) {
  std::seed_seq sequence = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                            static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)};
  engine_.seed(sequence);
}

double RandomStream::uniform() {
  return static_cast<double>(engine_() >> 11) * 0x1.0p-53;
}

double RandomStream::normal() {
  if (has_spare_normal_) {
    has_spare_normal_ = false;
    return spare_normal_;
  }
  for (;;) {
    const double u = 2.0 * uniform() - 1.0;
    const double v = 2.0 * uniform() - 1.0;
    const double s = u * u + v * v;
    if (s >= 1.0 || s == 0.0) continue;
    const double factor = std::sqrt(-2.0 * std::log(s) / s);
    spare_normal_ = v * factor;
    has_spare_normal_ = true;
    return u * factor;
  }
}

double RandomStream::exponential() {
  return -std::log1p(-uniform());
}

double RandomStream::gamma(double shape) {
  if (!(shape > 0.0) || !std::isfinite(shape)) user_error("the shape of a gamma draw must be above 0, not {}", shape);
  if (shape < 1.0) {  // Gamma(a) = Gamma(a + 1) U^(1/a)
    const double larger = gamma(shape + 1.0);
    return larger * std::pow(1.0 - uniform(), 1.0 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = normal();
    const double root = 1.0 + c * x;
    if (root <= 0.0) continue;
    const double v = root * root * root;
    const double u = 1.0 - uniform();  // in (0, 1]
    if (std::log(u) < 0.5 * x * x + d * (1.0 - v + std::log(v))) return d * v;
  }
}

double RandomStream::student_t(double degrees) {
  if (!(degrees > 0.0) || !std::isfinite(degrees))
    user_error("the degrees of freedom of a Student t draw must be above 0, not {}", degrees);
  const double z = normal();
  return z / std::sqrt(2.0 * gamma(0.5 * degrees) / degrees);
}

std::int64_t RandomStream::poisson(double mean) {
  if (!(mean >= 0.0 && mean <= kLargestCount))
    user_error("the mean of a Poisson draw must lie in [0, {}], not {}", kLargestCount, mean);
  if (mean < 30.0) {  // inversion by sequential search
    for (;;) {
      double left = uniform();
      double probability = std::exp(-mean);
      for (std::int64_t k = 0; k < 1000; ++k) {
        if (left < probability) return k;
        left -= probability;
        probability *= mean / static_cast<double>(k + 1);
      }  // reached only through rounding in the last place: draw again
    }
  }
  // Transformed rejection PTRS, Hoermann 1993, "The transformed rejection method for generating Poisson random
  // variables".
  const double b = 0.931 + 2.53 * std::sqrt(mean);
  const double a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  const double squeeze = 0.9277 - 3.6224 / (b - 2.0);
  const double log_mean = std::log(mean);
  for (;;) {
    const double u = uniform() - 0.5;
    const double v = 1.0 - uniform();
    const double us = 0.5 - std::fabs(u);
    if (us == 0.0) continue;
    const double k = std::floor((2.0 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= squeeze) return static_cast<std::int64_t>(k);
    if (k < 0.0 || (us < 0.013 && v > us)) continue;
    if (std::log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - log_factorial(k))
      return static_cast<std::int64_t>(k);
  }
}

std::int64_t RandomStream::binomial(std::int64_t trials, double probability) {
  if (trials < 0 || static_cast<double>(trials) > kLargestCount)
    user_error("the trials of a binomial draw must lie in [0, {}], not {}", kLargestCount, trials);
  if (!(probability >= 0.0 && probability <= 1.0))
    user_error("the probability of a binomial draw must lie in [0, 1], not {}", probability);
  if (probability > 0.5) return trials - binomial(trials, 1.0 - probability);
  const auto n = static_cast<double>(trials);
  const double odds = probability / (1.0 - probability);
  if (n * probability < 10.0) {  // inversion by sequential search
    const double none = std::exp(n * std::log1p(-probability));
    for (;;) {
      double left = uniform();
      double mass = none;
      for (std::int64_t k = 0; k <= std::min<std::int64_t>(trials, 1000); ++k) {
        if (left < mass) return k;
        left -= mass;
        mass *= odds * (n - static_cast<double>(k)) / static_cast<double>(k + 1);
      }  // reached only through rounding in the last place: draw again
    }
  }
  // Transformed rejection BTRS, Hoermann 1993, "The generation of binomial random variates".
  const double deviation = std::sqrt(n * probability * (1.0 - probability));
  const double b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * probability;
  const double c = n * probability + 0.5;
  const double squeeze = 0.92 - 4.2 / b;
  const double alpha = (2.83 + 5.1 / b) * deviation;
  const double mode = std::floor((n + 1.0) * probability);
  for (;;) {
    const double u = uniform() - 0.5;
    const double v = 1.0 - uniform();
    const double us = 0.5 - std::fabs(u);
    if (us == 0.0) continue;
    const double k = std::floor((2.0 * a / us + b) * u + c);
    if (us >= 0.07 && v <= squeeze) return static_cast<std::int64_t>(k);
    if (k < 0.0 || k > n) continue;
    // log of P(k) / P(mode), with factorials as Stirling's formula and its tail so that large counts do not cancel.
    const double ratio = (mode + 0.5) * std::log((mode + 1.0) / (odds * (n - mode + 1.0))) +
                         (n + 1.0) * std::log((n - mode + 1.0) / (n - k + 1.0)) +
                         (k + 0.5) * std::log(odds * (n - k + 1.0) / (k + 1.0)) + stirling_tail(mode) +
                         stirling_tail(n - mode) - stirling_tail(k) - stirling_tail(n - k);
    if (std::log(v * alpha / (a / (us * us) + b)) <= ratio) return static_cast<std::int64_t>(k);
  }
}

std::uint64_t RandomStream::index(std::uint64_t bound) {
  if (bound == 0) user_error("a random index needs a bound of at least 1, not 0");
  const std::uint64_t surplus = (0 - bound) % bound;  // 2^64 mod bound: draws below it would favour small indices
  for (;;) {
    const std::uint64_t draw = engine_();
    if (draw >= surplus) return draw % bound;
  }
}

std::size_t RandomStream::categorical(const double* weights, std::size_t count) {
  double total = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!(weights[i] >= 0.0)) user_error("weight {} of a categorical draw must be at least 0, not {}", i, weights[i]);
    total += weights[i];
  }
  if (!(total > 0.0) || !std::isfinite(total))
    user_error("the weights of a categorical draw must have a positive finite sum, not {}", total);
  double left = uniform() * total;
  std::size_t last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (weights[i] == 0.0) continue;
    last = i;
    if (left < weights[i]) return i;
    left -= weights[i];
  }
  return last;  // rounding in the last place
}

std::vector<std::size_t> RandomStream::permutation(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[index(i)]);
  return order;
}

std::vector<std::size_t> RandomStream::sample_without_replacement(std::size_t bound, std::size_t count) {
  if (count > bound) user_error("cannot draw {} distinct indices out of {}", count, bound);
  // Floyd's algorithm (Bentley and Floyd 1987): `count` draws, every subset equally likely.
  std::unordered_set<std::size_t> chosen;
  chosen.reserve(count);
  for (std::size_t j = bound - count; j < bound; ++j) {
    const std::size_t candidate = index(j + 1);
    chosen.insert(chosen.contains(candidate) ? j : candidate);
  }
  std::vector<std::size_t> sample(chosen.begin(), chosen.end());
  std::sort(sample.begin(), sample.end());
  return sample;
}

}  // namespace clearway
