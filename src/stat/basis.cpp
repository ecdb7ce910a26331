#include "basis.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

// Sample quantile by linear interpolation of order statistics (Hyndman and Fan 1996, type 7).
double quantile_of_sorted(const std::vector<double>& sorted, double probability) {
  const double at = probability * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// Ends of x with `inner` quantiles between them.
std::vector<double> knots_of(const Vector& x, int inner, std::string_view what) {
  std::vector<double> sorted(x.data(), x.data() + x.size());
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> knots;
  for (int k = 0; k <= inner + 1; ++k)
    knots.push_back(quantile_of_sorted(sorted, static_cast<double>(k) / static_cast<double>(inner + 1)));
  for (std::size_t k = 1; k < knots.size(); ++k)
    if (!(knots[k] > knots[k - 1]))
      user_error("{}: two knots fall on {}; the column has too many equal values for so many pieces", what, knots[k]);
  return knots;
}

// Orthogonal polynomials of degree 0 to `degree` at x: n x (degree + 1), with centres and norms of the recursion.
Matrix recursion(const Vector& x, int degree, const double* centres, const double* norms) {
  Matrix p(x.size(), degree + 1);
  p.col(0).setOnes();
  for (int j = 0; j < degree; ++j) {
    p.col(j + 1) = (x.array() - centres[j]) * p.col(j).array();
    if (j > 0) p.col(j + 1) -= norms[j] / norms[j - 1] * p.col(j - 1);
  }
  return p;
}

std::vector<double> polynomial_constants(const Vector& x, int degree, std::string_view what) {
  std::vector<double> centres(static_cast<std::size_t>(degree) + 1, 0.0), norms(centres.size(), 1.0);
  for (int j = 0; j <= degree; ++j) {
    const Vector p = recursion(x, j, centres.data(), norms.data()).col(j);
    const auto at = static_cast<std::size_t>(j);
    norms[at] = p.squaredNorm();
    // Relative to the size that a polynomial of this degree has on the range of x.
    const double range = x.maxCoeff() - x.minCoeff();
    if (!(norms[at] > 1e-20 * std::pow(range, 2 * j) * static_cast<double>(x.size())))
      user_error("{}: a polynomial of degree {} needs more than {} different values", what, degree, degree);
    if (j < degree) centres[at] = x.dot(p.cwiseAbs2()) / norms[at];
  }
  centres.insert(centres.end(), norms.begin(), norms.end());
  return centres;
}

// The basis of Hastie, Tibshirani and Friedman 2009, (5.4)-(5.5), knots scaled to [0, 1].
Matrix natural_spline(const std::vector<double>& knots, const Vector& x) {
  const std::size_t count = knots.size();
  const double low = knots.front(), width = knots.back() - low;
  Matrix columns(x.size(), static_cast<Index>(count) - 1);
  std::vector<double> at(count);
  for (std::size_t k = 0; k < count; ++k) at[k] = (knots[k] - low) / width;
  const auto cube = [](double t) { return t > 0 ? t * t * t : 0.0; };
  for (Index i = 0; i < x.size(); ++i) {
    const double t = (x(i) - low) / width;
    const auto d = [&](std::size_t k) { return (cube(t - at[k]) - cube(t - at[count - 1])) / (at[count - 1] - at[k]); };
    columns(i, 0) = t;
    for (std::size_t k = 0; k + 2 < count; ++k) columns(i, static_cast<Index>(k) + 1) = d(k) - d(count - 2);
  }
  return columns;
}

// Cubic B-splines by the recursion of Cox and de Boor; outside of the ends the end pieces continue as polynomials.
Matrix cubic_spline(const std::vector<double>& constants, int columns, const Vector& x) {
  constexpr int kDegree = 3;
  std::vector<double> knots(kDegree + 1, constants[0]);
  knots.insert(knots.end(), constants.begin() + 2, constants.end());
  knots.insert(knots.end(), kDegree + 1, constants[1]);
  const auto last_span = static_cast<std::size_t>(columns);  // knots[span] <= x < knots[span + 1]
  Matrix out = Matrix::Zero(x.size(), columns);
  for (Index i = 0; i < x.size(); ++i) {
    std::size_t span = kDegree;
    while (span < last_span && x(i) >= knots[span + 1]) ++span;
    std::array<double, kDegree + 1> value{1.0};
    for (std::size_t degree = 1; degree <= kDegree; ++degree) {
      double saved = 0;
      for (std::size_t r = 0; r < degree; ++r) {
        const double right = knots[span + 1 + r] - x(i), left = x(i) - knots[span + 1 + r - degree];
        const double share = value[r] / (right + left);
        value[r] = saved + right * share;
        saved = left * share;
      }
      value[degree] = saved;
    }
    for (std::size_t r = 0; r <= kDegree; ++r)  // the first B-spline is left to the intercept
      if (span - kDegree + r > 0) out(i, static_cast<Index>(span - kDegree + r) - 1) = value[r];
  }
  return out;
}

}  // namespace

std::vector<double> basis_constants(Transform transform, int columns, const Vector& x, std::string_view what) {
  if (transform == Transform::polynomial) return polynomial_constants(x, columns, what);
  if (transform == Transform::natural_spline) return knots_of(x, columns - 1, what);
  std::vector<double> knots = knots_of(x, columns - 3, what);
  std::vector<double> constants{knots.front(), knots.back()};
  constants.insert(constants.end(), knots.begin() + 1, knots.end() - 1);
  return constants;
}

std::size_t basis_constant_count(Transform transform, int columns) {
  const auto count = static_cast<std::size_t>(columns);
  return transform == Transform::polynomial       ? 2 * (count + 1)
         : transform == Transform::natural_spline ? count + 1
                                                  : count - 1;
}

Matrix basis_columns(Transform transform, int columns, const std::vector<double>& constants, const Vector& x) {
  switch (transform) {
    case Transform::polynomial: {
      const double* norms = constants.data() + columns + 1;
      Matrix p = recursion(x, columns, constants.data(), norms).rightCols(columns);
      for (int j = 0; j < columns; ++j) p.col(j) /= std::sqrt(norms[j + 1]);
      return p;
    }
    case Transform::natural_spline:
      return natural_spline(constants, x);
    default:
      return cubic_spline(constants, columns, x);
  }
}

}  // namespace clearway::detail

namespace clearway {

std::size_t basis_constant_count(const Factor& factor) {
  const auto columns = static_cast<std::size_t>(factor.power);
  switch (factor.transform) {
    case Transform::polynomial:
      return 2 * (columns + 1);
    case Transform::natural_spline:
      return columns + 1;
    default:
      return columns - 1;
  }
}

void check_basis(const Factor& factor, std::string_view where) {
  std::vector<double> knots = factor.constants;
  if (factor.transform == Transform::polynomial) {
    for (std::size_t i = knots.size() / 2; i < knots.size(); ++i)
      if (!(knots[i] > 0)) user_error("{}: a norm must be above 0, not {}", where, knots[i]);
    return;
  }
  if (factor.transform == Transform::b_spline) std::rotate(knots.begin() + 1, knots.begin() + 2, knots.end());
  for (std::size_t i = 1; i < knots.size(); ++i)
    if (!(knots[i] > knots[i - 1]))
      user_error("{}: knots must increase, {} does not follow {}", where, knots[i], knots[i - 1]);
}

}  // namespace clearway
