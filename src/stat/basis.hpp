// Bases of one input: orthogonal polynomials, natural and plain cubic splines. Constants found on the fitting data turn
// any later value into the same columns.
#pragma once

#include <string_view>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/design.hpp"

namespace clearway::detail {

/// Constants of a basis of `columns` columns on the values x (all finite). What they are:
///   poly  centres and squared norms of the three-term recursion (Kennedy and Gentle 1980, section 8.1; R's poly):
///         columns + 1 centres (the last is unused and 0), then columns + 1 norms (of degree 0 to columns)
///   ns    columns + 1 increasing knots, the first and last at the ends of x (natural cubic spline, linear beyond them)
///   bs    the two ends of x, then columns - 3 inner knots (cubic B-splines without the first; end pieces continue)
/// Inner knots are quantiles of x (R's type 7), so that the columns span what R's splines::ns and splines::bs span.
/// Throws std::invalid_argument beginning with `what` when x has too few different values.
std::vector<double> basis_constants(Transform transform, int columns, const Vector& x, std::string_view what);

/// The columns of the basis: x.size() x columns.
Matrix basis_columns(Transform transform, int columns, const std::vector<double>& constants, const Vector& x);

}  // namespace clearway::detail
