#include "clearway/stat/response_transform.hpp"

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <numbers>

#include "clearway/base/errors.hpp"
#include "clearway/core/activations.hpp"

namespace clearway {
namespace {

[[noreturn]] void no_mean_function(ExpertKind kind) {
  user_error(
      "the spectral method needs a mean function g(a'x): linear, sigmoid, tanh, relu, leaky-relu or polynomial, "
      "not {}",
      enum_name(kind));
}

/// The formula of core for the mean function of an expert.
Activation activation(const ExpertSpec& link) {
  const auto of = [&](ActivationKind kind) { return Activation{kind, link.leak, link.degree}; };
  switch (link.kind) {
    case ExpertKind::linear:
      return of(ActivationKind::identity);
    case ExpertKind::sigmoid:
      return of(ActivationKind::sigmoid);
    case ExpertKind::tanh:
      return of(ActivationKind::tanh);
    case ExpertKind::relu:
      return of(ActivationKind::relu);
    case ExpertKind::leaky_relu:
      return of(ActivationKind::leaky_relu);
    case ExpertKind::polynomial:
      return of(ActivationKind::polynomial);
    default:
      no_mean_function(link.kind);
  }
}

/// Coefficients of He_m by increasing power, m = 0..4.
constexpr double kHermite[5][5] = {
    {1, 0, 0, 0, 0}, {0, 1, 0, 0, 0}, {-1, 0, 1, 0, 0}, {0, -3, 0, 1, 0}, {3, 0, -6, 0, 1}};

double hermite(int m, double z) {
  double value = 0;
  for (int j = 4; j >= 0; --j) value = value * z + kHermite[m][j];
  return value;
}

/// E[Z^p] = (p - 1)!! for even p.
double gaussian_moment(int p) {
  if (p % 2 == 1) return 0;
  double value = 1;
  for (int j = p - 1; j > 1; j -= 2) value *= j;
  return value;
}

/// E[max(Z, 0)^p] = 2^(p/2) Gamma((p + 1) / 2) / (2 sqrt(pi)).
double half_line_moment(int p) {
  return std::exp2(0.5 * p) * std::tgamma(0.5 * (p + 1)) / (2 * std::sqrt(std::numbers::pi));
}

HermiteMoments power_moments(int degree) {
  HermiteMoments moments{};
  for (int r = 0; r <= 4; ++r)
    for (int m = 0; m <= 4; ++m)
      for (int j = 0; j <= m; ++j) moments[r][m] += kHermite[m][j] * gaussian_moment(r * degree + j);
  return moments;
}

HermiteMoments leaky_moments(double leak) {
  HermiteMoments moments{};
  moments[0][0] = 1;
  for (int r = 1; r <= 4; ++r)
    for (int m = 0; m <= 4; ++m) {
      double half = 0;
      for (int j = 0; j <= m; ++j) half += kHermite[m][j] * half_line_moment(r + j);
      moments[r][m] = half * (1 + ((r + m) % 2 == 0 ? 1 : -1) * std::pow(leak, r));
    }
  return moments;
}

/// The trapezoid sum on [-14, 14] with h = 1/32 converges geometrically for an integrand analytic in a strip: the error
/// is exp(-2 pi * width / h), with width pi (sigmoid) or pi/2 (tanh) far below the rounding.
HermiteMoments trapezoid_moments(const ExpertSpec& link) {
  constexpr double kStep = 1.0 / 32;
  constexpr int kHalfPoints = 14 * 32;
  HermiteMoments moments{};
  for (int i = -kHalfPoints; i <= kHalfPoints; ++i) {
    const double z = i * kStep;
    const double weight = kStep * std::exp(-0.5 * z * z) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    const double g = mean_function(link, z);
    double power = weight;
    for (int r = 0; r <= 4; ++r, power *= g)
      for (int m = 0; m <= 4; ++m) moments[r][m] += power * hermite(m, z);
  }
  return moments;
}

/// Nulls orders 1..order-1 of E[y^order + ...]: the coefficients of y^(order-1), ..., y^1. The shortest solution where
/// the system is singular (even g: the odd conditions hold by parity). `signal` is the remaining moment of that order.
struct Nulling {
  Vector coefficients;
  double signal = 0;
  bool exists = false;
};

Nulling null_lower_orders(const HermiteMoments& moments, int order) {
  constexpr double kTolerance = 1e-10;
  const int unknowns = order - 1;
  // Measured in units of the root mean square of g, so that powers of g are comparable.
  const double unit = std::sqrt(moments[2][0]);
  const auto scaled = [&](int r, int m) { return moments[r][m] / std::pow(unit, r); };
  Matrix system(unknowns, unknowns);
  Vector right(unknowns);
  for (int m = 1; m <= unknowns; ++m) {
    for (int j = 0; j < unknowns; ++j) system(m - 1, j) = scaled(order - 1 - j, m);
    right(m - 1) = -scaled(order, m);
  }
  Eigen::CompleteOrthogonalDecomposition<Matrix> decomposition(unknowns, unknowns);
  decomposition.setThreshold(1e-12);
  decomposition.compute(system);
  Nulling result;
  result.coefficients = decomposition.solve(right);
  const double residual = (system * result.coefficients - right).cwiseAbs().maxCoeff();
  double size = std::abs(scaled(order, order));
  double signal = scaled(order, order);
  for (int j = 0; j < unknowns; ++j) {
    const double term = result.coefficients(j) * scaled(order - 1 - j, order);
    signal += term;
    size += std::abs(term);
  }
  result.exists = residual <= kTolerance * (1 + right.cwiseAbs().maxCoeff()) && std::abs(signal) > kTolerance * size;
  result.signal = signal * std::pow(unit, order);
  for (int j = 0; j < unknowns; ++j) result.coefficients(j) *= std::pow(unit, j + 1);
  if (!result.exists) {
    result.coefficients.setConstant(std::numeric_limits<double>::quiet_NaN());
    result.signal = std::numeric_limits<double>::quiet_NaN();
  }
  return result;
}

}  // namespace

bool has_mean_function(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::linear:
    case ExpertKind::sigmoid:
    case ExpertKind::tanh:
    case ExpertKind::relu:
    case ExpertKind::leaky_relu:
    case ExpertKind::polynomial:
      return true;
    default:
      return false;
  }
}

double mean_function(const ExpertSpec& link, double eta) {
  return activation(link).value(eta);
}

double mean_function_slope(const ExpertSpec& link, double eta) {
  return activation(link).derivative(eta);
}

void mean_function(const ExpertSpec& link, const Matrix& eta, Matrix& value, Matrix* slope) {
  const Activation g = activation(link);
  value = eta.unaryExpr([&](double t) { return g.value(t); });
  if (slope != nullptr) *slope = eta.unaryExpr([&](double t) { return g.derivative(t); });
}

HermiteMoments hermite_moments(const ExpertSpec& link) {
  switch (link.kind) {
    case ExpertKind::linear:
      return power_moments(1);
    case ExpertKind::polynomial:
      if (link.degree < 1 || link.degree > 9) user_error("degree must be from 1 to 9, not {}", link.degree);
      return power_moments(link.degree);
    case ExpertKind::relu:
      return leaky_moments(0);
    case ExpertKind::leaky_relu:
      return leaky_moments(link.leak);
    case ExpertKind::sigmoid:
    case ExpertKind::tanh:
      return trapezoid_moments(link);
    default:
      no_mean_function(link.kind);
  }
}

ResponseTransform response_transform(const ExpertSpec& link) {
  ResponseTransform transform;
  transform.link = link;
  transform.moments = hermite_moments(link);
  const Nulling quadratic = null_lower_orders(transform.moments, 2);
  transform.has_quadratic = quadratic.exists;
  transform.gamma = quadratic.coefficients(0);
  transform.c2 = quadratic.signal;
  const Nulling cubic = null_lower_orders(transform.moments, 3);
  transform.has_cubic = cubic.exists;
  transform.alpha = cubic.coefficients(0);
  transform.b = cubic.coefficients(1);
  transform.c3 = cubic.signal;
  const Nulling quartic = null_lower_orders(transform.moments, 4);
  transform.has_quartic = quartic.exists;
  transform.alpha4 = quartic.coefficients(0);
  transform.b2 = quartic.coefficients(1);
  transform.b1 = quartic.coefficients(2);
  transform.c4 = quartic.signal;
  return transform;
}

std::array<double, 6> ResponseTransform::null_conditions() const {
  const auto& M = moments;
  const auto quartic_order = [&](int m) { return M[4][m] + alpha4 * M[3][m] + b2 * M[2][m] + b1 * M[1][m]; };
  return {M[2][1] + gamma * M[1][1],
          M[3][1] + alpha * M[2][1] + b * M[1][1],
          M[3][2] + alpha * M[2][2] + b * M[1][2],
          quartic_order(1),
          quartic_order(2),
          quartic_order(3)};
}

}  // namespace clearway
