// Random arrays and parameters for the laws. RapidCheck draws sizes, scales and a seed; the numbers come from the seed.
#pragma once

#include <gtest/gtest.h>
// gtest first
#include <rapidcheck.h>

#include <cmath>
#include <cstdint>
#include <string_view>

#include "clearway/base/random.hpp"
#include "clearway/core/array.hpp"

namespace clearway::laws {

/// Sizes of a problem and the stream of its numbers.
struct Problem {
  std::ptrdiff_t n, d, k;
  RandomStream random;
};

inline Problem any_problem() {
  const auto n = *rc::gen::inRange<std::ptrdiff_t>(1, 12);
  const auto d = *rc::gen::inRange<std::ptrdiff_t>(1, 5);
  const auto k = *rc::gen::inRange<std::ptrdiff_t>(1, 6);
  return {n, d, k, RandomStream(*rc::gen::arbitrary<std::uint64_t>())};
}

inline DoubleArray normal_array(RandomStream& random, std::ptrdiff_t rows, std::ptrdiff_t cols, double scale = 1.0) {
  DoubleArray out(rows, cols);
  for (Eigen::Index i = 0; i < out.size(); ++i) out.data()[i] = scale * random.normal();
  return out;
}

/// Fills parameters of the right shapes with normal numbers of the given scale. Logarithms of scales and shapes stay of
/// order one; Student t gets more than 3 degrees of freedom, so that its mean can be integrated; a box gets a volume.
template <class Parameters>
void fill_normal(RandomStream& random, double scale, Parameters& parameters) {
  DoubleArray lower;
  Parameters::visit(parameters, [&](std::string_view name, DoubleArray& a) {
    const bool is_log = name.starts_with("log_") || name.starts_with("factor");
    a = normal_array(random, a.rows(), a.cols(), is_log ? 0.5 : scale);
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
