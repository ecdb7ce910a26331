// Linear dependence among columns of numbers with 50 digits: smallest singular value, and which column is a combination of
// those before it.
#pragma once

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <vector>

namespace clearway::detail {

using Long = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<50>, boost::multiprecision::et_off>;

/// Columns of one length.
using LongColumns = std::vector<std::vector<Long>>;

/// Smallest over largest singular value of the columns scaled to unit length; a column of zeros gives 0. There must be at
/// least as many rows as columns.
double smallest_singular_ratio(LongColumns columns);

/// column = sum coefficient_i * earlier_i.
struct Dependence {
  std::size_t column = 0;
  std::vector<std::size_t> earlier;
  std::vector<Long> coefficients;  ///< of the columns as given; those that rounding leaves are left out
};

/// Every column whose distance from the span of the independent ones before it is below `tolerance` times its length.
std::vector<Dependence> dependences(const LongColumns& columns, const Long& tolerance);

}  // namespace clearway::detail
