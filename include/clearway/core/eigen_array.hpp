// The array verbs of array.hpp for Eigen::Array<Scalar, Dynamic, Dynamic>: Scalar is double, or an
// automatic-differentiation scalar once its ScalarMath is there (jet.hpp).
#pragma once

#include <math.h>  // lgamma_r, which unlike std::lgamma writes no global sign

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "clearway/core/normal_tail.hpp"
#include "clearway/core/student_tail.hpp"

namespace clearway {

template <class A>
struct ArrayVerbs;

/// The container of the statistical half.
template <class Scalar>
using EigenArray = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
/// Arrays of double: what everyday code passes to the formulas.
using DoubleArray = EigenArray<double>;

/// What the verbs need to know about a number type beyond its operators; specialised for automatic differentiation.
template <class Scalar>
struct ScalarMath;

template <>
struct ScalarMath<double> {
  static double value(double a) { return a; }
  static double log_gamma(double a) {
    int sign = 0;
    return ::lgamma_r(a, &sign);
  }
  static double log_normal_cdf(double a) { return clearway::log_normal_cdf(a); }
  static double log_student_cdf(double a, double degrees) { return clearway::log_student_cdf(a, degrees); }
};

template <class S>
struct ArrayVerbs<EigenArray<S>> {
  using Scalar = S;
  using A = EigenArray<S>;
  using Index = Eigen::Index;
  using Math = ScalarMath<S>;

  static Index rows(const A& a) { return a.rows(); }
  static Index cols(const A& a) { return a.cols(); }

  static A affine(const A& x, const A& w, const A& b) {
    A out(x.rows(), w.rows());
    out.matrix().noalias() = x.matrix() * w.matrix().transpose();
    out.rowwise() += b.row(0);
    return out;
  }
  static A matmul(const A& a, const A& b) { return (a.matrix() * b.matrix()).array(); }

  static A squared_distances(const A& x, const A& c) {
    A out = A::Zero(x.rows(), c.rows());
    for (Index k = 0; k < c.rows(); ++k)
      for (Index j = 0; j < c.cols(); ++j) out.col(k) += (x.col(j) - c(k, j)).square();
    return out;
  }

  static A sum_rows(const A& a) {
    A out = A::Zero(a.rows(), 1);
    for (Index j = 0; j < a.cols(); ++j) out.col(0) += a.col(j);
    return out;
  }

  static A logsumexp_rows(const A& a) {
    constexpr double kLowest = std::numeric_limits<double>::lowest();
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    A largest = A::Constant(a.rows(), 1, S(kLowest));
    for (Index j = 0; j < a.cols(); ++j) largest.col(0) = largest.col(0).max(a.col(j));
    A sum = A::Zero(a.rows(), 1);
    for (Index j = 0; j < a.cols(); ++j) sum.col(0) += (a.col(j) - largest.col(0)).exp();
    A out = largest + sum.log();
    for (Index i = 0; i < a.rows(); ++i)
      if (Math::value(largest(i, 0)) == kLowest) out(i, 0) = S(-kInfinity);
    return out;
  }

  static A add_row(const A& a, const A& r) { return a.rowwise() + r.row(0); }
  static A mul_row(const A& a, const A& r) { return a.rowwise() * r.row(0); }
  static A add_col(const A& a, const A& c) { return a.colwise() + c.col(0); }
  static A mul_col(const A& a, const A& c) { return a.colwise() * c.col(0); }
  static A row(const A& a, Index i) { return a.row(i); }
  static A columns(const A& a, Index first, Index count) { return a.middleCols(first, count); }

  template <class Range>
  static A hstack(const Range& parts) {
    Index width = 0;
    for (const A& part : parts) width += part.cols();
    A out(parts.begin()->rows(), width);
    Index at = 0;
    for (const A& part : parts) {
      out.middleCols(at, part.cols()) = part;
      at += part.cols();
    }
    return out;
  }

  static A filled(const A&, Index rows, Index cols, double value) { return A::Constant(rows, cols, S(value)); }

  static A lower_triangle(const A& packed, Index d) {
    using std::exp;
    A out = A::Zero(d, d);
    Index at = 0;
    for (Index j = 0; j < d; ++j)
      for (Index i = j; i < d; ++i, ++at) out(i, j) = i == j ? S(exp(packed(0, at))) : packed(0, at);
    return out;
  }

  static A log_sigmoid(const A& a) {
    // min(a, 0) - log(1 + exp(-|a|)): neither term can overflow, and the second keeps its digits for large |a|.
    const A smaller = a.min(S(0.0));
    const A tail = (-a.abs()).exp();
    return smaller - tail.unaryExpr([](const S& t) {
      using std::log1p;
      return S(log1p(t));
    });
  }
  static A normal_cdf(const A& a) {
    return a.unaryExpr([](const S& t) {
      using std::erfc;
      return S(erfc(t * -0.70710678118654752440) * 0.5);
    });
  }
  static A log_gamma(const A& a) {
    return a.unaryExpr([](const S& t) { return Math::log_gamma(t); });
  }
  static A log_normal_cdf(const A& a) {
    return a.unaryExpr([](const S& t) { return Math::log_normal_cdf(t); });
  }
  static A log_student_cdf(const A& a, const A& degrees) {
    return a.binaryExpr(degrees, [](const S& t, const S& n) { return Math::log_student_cdf(t, n); });
  }
  static A maximum(const A& a, double low) {
    return a.unaryExpr([low](const S& t) { return Math::value(t) > low ? t : S(low); });
  }
  static A at_least(const A& a, double low) {
    return a.unaryExpr([low](const S& t) { return S(Math::value(t) >= low ? 1.0 : 0.0); });
  }

  static A keep_top(const A& a, Index count) {
    A out = A::Constant(a.rows(), a.cols(), S(-std::numeric_limits<double>::infinity()));
    std::vector<Index> order(static_cast<std::size_t>(a.cols()));
    for (Index i = 0; i < a.rows(); ++i) {
      std::iota(order.begin(), order.end(), Index{0});
      std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](Index p, Index q) {
        const double left = Math::value(a(i, p)), right = Math::value(a(i, q));
        return left > right || (left == right && p < q);
      });
      for (Index j = 0; j < count; ++j)
        out(i, order[static_cast<std::size_t>(j)]) = a(i, order[static_cast<std::size_t>(j)]);
    }
    return out;
  }
};

}  // namespace clearway
