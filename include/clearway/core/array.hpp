// The vocabulary in which gates, expert likelihoods and mixtures are written: about twenty array verbs.
//
// A formula is a template over an Array and calls only these verbs, the operators + - * / (two arrays of one shape, or
// an array and a double) and exp, log, log1p, sqrt, square, tanh, abs of the array's own library, found by
// argument-dependent lookup. Every array is two-dimensional: n x d inputs, k x d weights, 1 x k rows, n x 1 columns.
// Formulas keep every intermediate result in a variable of type A, never in `auto`.
//
// The verbs are specialised once per container, in a class template ArrayVerbs<A>. This header brings the one for
// Eigen::Array<Scalar, Dynamic, Dynamic> (Scalar: double, or an automatic-differentiation scalar, see jet.hpp). To add
// another container, for instance torch::Tensor: write one header with `template <> struct ArrayVerbs<torch::Tensor>`
// that has a type Scalar and the static functions called below, include it beside this one, and add the container to
// the typed lists of the law tests. No formula changes, and none asks which container it got.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>

#include "clearway/base/errors.hpp"

namespace clearway {

/// The verbs of container A as static functions; specialised per container (see the head of this file).
template <class A>
struct ArrayVerbs;

/// The number type of an array.
template <class A>
using scalar_t = typename ArrayVerbs<A>::Scalar;

/// A type for which ArrayVerbs is specialised.
template <class A>
concept Array = requires(const A& a) {
  typename ArrayVerbs<A>::Scalar;
  { ArrayVerbs<A>::rows(a) } -> std::convertible_to<std::ptrdiff_t>;
  { ArrayVerbs<A>::cols(a) } -> std::convertible_to<std::ptrdiff_t>;
  { ArrayVerbs<A>::affine(a, a, a) } -> std::same_as<A>;
  { ArrayVerbs<A>::logsumexp_rows(a) } -> std::same_as<A>;
};

/// Number of rows; 0 for an array that was never filled.
template <Array A>
std::ptrdiff_t rows(const A& a) {
  return static_cast<std::ptrdiff_t>(ArrayVerbs<A>::rows(a));
}
/// Number of columns; 0 for an array that was never filled.
template <Array A>
std::ptrdiff_t cols(const A& a) {
  return static_cast<std::ptrdiff_t>(ArrayVerbs<A>::cols(a));
}

/// x w' + b, the sum over inputs: x n x d, w k x d, b 1 x k -> n x k.
template <Array A>
A affine(const A& x, const A& w, const A& b) {
  return ArrayVerbs<A>::affine(x, w, b);
}
/// a b: n x d, d x k -> n x k.
template <Array A>
A matmul(const A& a, const A& b) {
  return ArrayVerbs<A>::matmul(a, b);
}
/// Squared Euclidean distance of every row of x to every row of c, without cancellation: n x d, k x d -> n x k.
template <Array A>
A squared_distances(const A& x, const A& c) {
  return ArrayVerbs<A>::squared_distances(x, c);
}
/// Sum along every row: n x k -> n x 1.
template <Array A>
A sum_rows(const A& a) {
  return ArrayVerbs<A>::sum_rows(a);
}
/// log(sum_k exp(a_k)) along every row, without overflow: n x k -> n x 1; a row of -inf gives -inf.
template <Array A>
A logsumexp_rows(const A& a) {
  return ArrayVerbs<A>::logsumexp_rows(a);
}
/// Adds the 1 x k row r to every row: n x k -> n x k.
template <Array A>
A add_row(const A& a, const A& r) {
  return ArrayVerbs<A>::add_row(a, r);
}
/// Multiplies every row by the 1 x k row r, element by element: n x k -> n x k.
template <Array A>
A mul_row(const A& a, const A& r) {
  return ArrayVerbs<A>::mul_row(a, r);
}
/// Adds the n x 1 column c to every column: n x k -> n x k.
template <Array A>
A add_col(const A& a, const A& c) {
  return ArrayVerbs<A>::add_col(a, c);
}
/// Multiplies every column by the n x 1 column c, element by element: n x k -> n x k.
template <Array A>
A mul_col(const A& a, const A& c) {
  return ArrayVerbs<A>::mul_col(a, c);
}
/// Row i as a 1 x k array.
template <Array A>
A row(const A& a, std::ptrdiff_t i) {
  return ArrayVerbs<A>::row(a, i);
}
/// `count` columns from column `first` on: n x count.
template <Array A>
A columns(const A& a, std::ptrdiff_t first, std::ptrdiff_t count) {
  return ArrayVerbs<A>::columns(a, first, count);
}
/// Column j as an n x 1 array.
template <Array A>
A column(const A& a, std::ptrdiff_t j) {
  return ArrayVerbs<A>::columns(a, j, 1);
}
/// Arrays of n rows side by side; `parts` is a vector (or other range) of at least one array.
template <class Range>
auto hstack(const Range& parts) {
  using A = typename Range::value_type;
  return ArrayVerbs<A>::hstack(parts);
}
/// A rows x cols array of one value; number type and device are those of `like`.
template <Array A>
A filled(const A& like, std::ptrdiff_t rows, std::ptrdiff_t cols, double value) {
  return ArrayVerbs<A>::filled(like, rows, cols, value);
}
/// The lower triangular d x d matrix that is packed by columns in a 1 x d(d+1)/2 row, its diagonal as logarithms.
template <Array A>
A lower_triangle(const A& packed, std::ptrdiff_t d) {
  return ArrayVerbs<A>::lower_triangle(packed, d);
}
/// log(1 / (1 + exp(-a))), stable for every finite a.
template <Array A>
A log_sigmoid(const A& a) {
  return ArrayVerbs<A>::log_sigmoid(a);
}
/// Standard normal distribution function, relative precision in both tails.
template <Array A>
A normal_cdf(const A& a) {
  return ArrayVerbs<A>::normal_cdf(a);
}
/// log Gamma(a) for a > 0.
template <Array A>
A log_gamma(const A& a) {
  return ArrayVerbs<A>::log_gamma(a);
}
/// log Phi(a), the logarithm of the standard normal distribution function.
template <Array A>
A log_normal_cdf(const A& a) {
  return ArrayVerbs<A>::log_normal_cdf(a);
}
/// log P(T <= a), T of Student's distribution with `degrees` degrees of freedom: two arrays of one shape.
template <Array A>
A log_student_cdf(const A& a, const A& degrees) {
  return ArrayVerbs<A>::log_student_cdf(a, degrees);
}
/// max(a, low) element by element; where they are equal the derivative is 0.
template <Array A>
A maximum(const A& a, double low) {
  return ArrayVerbs<A>::maximum(a, low);
}
/// 1 where a >= low, else 0; its derivative is 0.
template <Array A>
A at_least(const A& a, double low) {
  return ArrayVerbs<A>::at_least(a, low);
}
/// The `count` largest elements of every row, -inf elsewhere; of equal elements the first wins.
template <Array A>
A keep_top(const A& a, std::ptrdiff_t count) {
  if (count < 1 || count > cols(a)) user_error("top-k must keep between 1 and {} columns, not {}", cols(a), count);
  return ArrayVerbs<A>::keep_top(a, count);
}

/// Throws std::invalid_argument unless `a` is rows x cols: "softmax gate: slopes must be 3 x 2, not 3 x 4".
template <Array A>
void check_shape(std::string_view who, std::string_view what, const A& a, std::ptrdiff_t wanted_rows,
                 std::ptrdiff_t wanted_cols) {
  if (rows(a) != wanted_rows || cols(a) != wanted_cols)
    user_error("{}: {} must be {} x {}, not {} x {}", who, what, wanted_rows, wanted_cols, rows(a), cols(a));
}

}  // namespace clearway

#include "clearway/core/eigen_array.hpp"  // IWYU pragma: export
