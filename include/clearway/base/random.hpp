// Reproducible random numbers: the same seed gives the same stream on every machine and for any number of threads.
//
// The engine is std::mt19937_64, whose output the C++ standard fixes; the distributions are ours because those of the
// standard library differ between implementations. Parallel work takes one stream per task: RandomStream(seed, task).
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace clearway {

/// One stream of random numbers, named by (seed, stream). Streams of different names are independent in practice.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::uint64_t stream = 0);

  /// Uniform on [0, 1), 53 bits.
  double uniform();
  /// Uniform on [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Marsaglia's polar method).
  double normal();
  /// Exponential with mean 1.
  double exponential();
  /// Gamma with the given shape > 0 and scale 1 (Marsaglia and Tsang 2000).
  double gamma(double shape);
  /// Student t with `degrees` > 0 degrees of freedom.
  double student_t(double degrees);
  /// Poisson with mean >= 0 (inversion below 30, Hoermann's PTRS above).
  std::int64_t poisson(double mean);
  /// Binomial: number of successes in `trials`.
  std::int64_t binomial(std::int64_t trials, double probability);
  /// Uniform integer in [0, bound), without modulo bias; bound > 0.
  std::uint64_t index(std::uint64_t bound);
  /// Index drawn with probability proportional to weights[i] >= 0; at least one weight must be positive.
  std::size_t categorical(const double* weights, std::size_t count);
  /// A random permutation of 0..count-1 (Fisher-Yates).
  std::vector<std::size_t> permutation(std::size_t count);
  /// `count` distinct indices out of [0, bound), in increasing order.
  std::vector<std::size_t> sample_without_replacement(std::size_t bound, std::size_t count);

 private:
  std::mt19937_64 engine_;
  double spare_normal_ = 0.0;
  bool has_spare_normal_ = false;
};

}  // namespace clearway
