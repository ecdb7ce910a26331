// Uniform noise component: constant density on a box, for gross outliers that no expert should bend to.
//
//   log f(y) = -sum_j log(upper_j - lower_j) inside the closed box, -inf outside
//
// The box is fixed (usually the range of the response), not estimated.
#pragma once

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct UniformParameters {
  A lower;  ///< 1 x m
  A upper;  ///< 1 x m

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("lower", self.lower);
    field("upper", self.upper);
  }
};

struct UniformExpert {
  static constexpr std::string_view kName = "uniform";
  static constexpr Support kSupport = Support::box;
  template <Array A>
  using Parameters = UniformParameters<A>;

  /// The middle of the box: x n x d (only n matters) -> n x m.
  template <Array A>
  A mean(const A& x, const UniformParameters<A>& p) const {
    const A middle = (p.lower + p.upper) * 0.5;
    const A zeros = filled(p.lower, rows(x), cols(p.lower), 0.0);
    return add_row(zeros, middle);
  }
  /// y n x m, x n x d (only n matters) -> n x 1.
  template <Array A>
  A log_density(const A& y, const A& x, const UniformParameters<A>& p) const {
    check_shape("uniform expert", "response", y, rows(x), cols(p.lower));
    check_shape("uniform expert", "lower", p.lower, 1, cols(p.lower));
    check_shape("uniform expert", "upper", p.upper, 1, cols(p.lower));
    const A minus_lower = -p.lower, minus_y = -y;
    const A above = add_row(y, minus_lower), below = add_row(minus_y, p.upper);
    const A inside = at_least(above, 0.0) * at_least(below, 0.0);
    const A log_inside = log(inside);  // 0 or -inf
    const A minus_log_range = -log(p.upper - p.lower);
    const A log_values = add_row(log_inside, minus_log_range);
    return sum_rows(log_values);
  }
};

}  // namespace clearway
