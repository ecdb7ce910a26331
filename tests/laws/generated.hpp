// Laws on generated problems: random sizes and a seed from RapidCheck, numbers from the seed. RapidCheck itself is seen
// by generated.cpp only, which keeps the typed tests quick to compile.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/core/array.hpp"

namespace clearway::laws {

/// Sizes of a problem and the stream of its numbers. A failing problem is shrunk to small sizes.
struct Problem {
  std::ptrdiff_t n, d, k;  ///< 1..11 rows, 1..4 inputs, 1..5 experts
  RandomStream random;

  /// A whole number between low and high, both included.
  std::ptrdiff_t between(std::ptrdiff_t low, std::ptrdiff_t high) {
    return low + static_cast<std::ptrdiff_t>(random.index(static_cast<std::uint64_t>(high - low + 1)));
  }
};

/// Checks a law on a hundred problems; prints the smallest problem that breaks it.
::testing::AssertionResult holds(const std::string& law, const std::function<void(Problem&)>& body);

/// Inside a law: the condition must be true.
void require(bool condition, std::source_location where = std::source_location::current());
/// Inside a law: actual <= limit; NaN fails.
void require_at_most(double actual, double limit, std::source_location where = std::source_location::current());
/// Inside a law: problems for which the condition is false do not count; too many of them break the law.
void assume(bool condition);

inline DoubleArray normal_array(RandomStream& random, std::ptrdiff_t rows, std::ptrdiff_t cols, double scale = 1.0) {
  DoubleArray out(rows, cols);
  for (Eigen::Index i = 0; i < out.size(); ++i) out.data()[i] = scale * random.normal();
  return out;
}

/// Fills parameters of the right shapes with normal numbers of the given scale. Logarithms of scales and shapes stay of
/// order one; Student t gets more than 3 degrees of freedom, so that its mean can be integrated; the noise of a vector
/// stays near the unit covariance, so that a product grid resolves it; a box gets a volume.
template <class Parameters>
void fill_normal(RandomStream& random, double scale, Parameters& parameters) {
  DoubleArray lower;
  Parameters::visit(parameters, [&](std::string_view name, DoubleArray& a) {
    const bool is_log = name.starts_with("log_") || name.starts_with("factor");
    a = normal_array(random, a.rows(), a.cols(), name == "factor" ? 0.25 : is_log ? 0.5 : scale);
    if (name == "log_nus") a = std::log(3.0) + a.abs();
    if (name == "lower") lower = a;
    if (name == "upper") a = lower + 0.5 + a.abs();
  });
}

/// The same parameters in another container (or with derivatives): Convert maps a DoubleArray.
template <template <class> class Parameters, class To, class Convert>
Parameters<To> converted(const Parameters<DoubleArray>& from, Convert&& convert) {
  Parameters<To> out;
  std::vector<To> arrays;
  Parameters<DoubleArray>::visit(from, [&](std::string_view, const DoubleArray& a) { arrays.push_back(convert(a)); });
  std::size_t next = 0;
  Parameters<To>::visit(out, [&](std::string_view, To& a) { a = arrays[next++]; });
  return out;
}

/// Largest absolute difference; 0 where both are the same infinity, NaN where either is NaN.
inline double largest_difference(const DoubleArray& a, const DoubleArray& b) {
  double worst = 0;
  for (Eigen::Index i = 0; i < a.size(); ++i) {
    const double p = a.data()[i], q = b.data()[i];
    if (std::isnan(p) || std::isnan(q)) return std::nan("");
    if (p != q) worst = std::max(worst, std::abs(p - q));
  }
  return worst;
}

}  // namespace clearway::laws
