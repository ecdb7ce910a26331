#include "em_pass_families.hpp"

#include <algorithm>
#include <cmath>

#include "response_family.hpp"

namespace clearway::detail {
namespace {

constexpr double kHalfLogTwoPi = 0.91893853320467274178;
constexpr std::size_t kRows = TileDerivatives::kRows;

void gamma_derivatives(double shape, const TileRows& rows, const TileDerivatives& out) {
  const double centre = std::log(shape) - digamma(shape), curvature = shape * (1 - shape * trigamma(shape));
  for (std::size_t i = 0; i < kRows; ++i) {
    out.eta()[i] = out.eta_s()[i] = shape * rows.score[i];
    out.s()[i] = shape * (centre - rows.square[i]);
    out.eta_eta()[i] = -shape * (rows.score[i] + 1);
    out.s_s()[i] = out.s()[i] + curvature;
  }
}

}  // namespace

bool is_linear_gaussian(ExpertKind kind) {
  return kind == ExpertKind::linear || kind == ExpertKind::constant;
}

bool is_gaussian(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::linear:
    case ExpertKind::constant:
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

bool pass_supports(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::poisson:
    case ExpertKind::bernoulli:
    case ExpertKind::binomial:
    case ExpertKind::gamma:
      return true;
    default:
      return is_gaussian(kind);
  }
}

TiledMatrix row_constants(ExpertKind kind, const TiledMatrix& y, const TiledMatrix* trials) {
  if (is_gaussian(kind)) return {};
  const Eigen::Index n = y.rows();
  Vector c(n);
  if (kind == ExpertKind::gamma) {
    for (Eigen::Index i = 0; i < n; ++i) c(i) = -std::log(y(i, 0));
    return TiledMatrix(c);
  }
  for (Eigen::Index i = 0; i < n; ++i) {
    c(i) = -log_factorial(y(i, 0));
    if (kind == ExpertKind::poisson) continue;
    const double size = trials ? (*trials)(i, 0) : 1.0;
    c(i) += log_factorial(size) - log_factorial(size - y(i, 0));
  }
  return TiledMatrix(c);
}

double log_normaliser(ExpertKind kind, double dispersion) {
  if (is_gaussian(kind)) return -std::log(dispersion) - kHalfLogTwoPi;
  if (kind != ExpertKind::gamma) return 0.0;
  // Three large numbers that cancel: Stirling's series from 100 on (DLMF 5.11.1; the first term left out is 1e-17).
  const double a = dispersion;
  if (a < 100) return a * std::log(a) - a - log_gamma(a);
  const double i = 1 / a;
  return 0.5 * std::log(a) - kHalfLogTwoPi - i * (1.0 / 12 - i * i * (1.0 / 360 - i * i * (1.0 / 1260)));
}

double index_limit(const ExpertSpec& spec) {
  switch (spec.kind) {
    case ExpertKind::poisson:
    case ExpertKind::gamma:
      return 300;
    case ExpertKind::polynomial:
      return std::pow(10.0, 100.0 / std::max(1, spec.degree));
    default:
      return 1e100;
  }
}

void tile_derivatives(const ExpertSpec& spec, double dispersion, const TileRows& rows, const TileDerivatives& out) {
  if (is_linear_gaussian(spec.kind)) {
    const double inverse = 1 / dispersion, information = inverse * inverse;
    for (std::size_t i = 0; i < kRows; ++i) {
      const double u = rows.index[i] * inverse;
      out.eta()[i] = u * inverse;
      out.s()[i] = u * u - 1;
      out.eta_eta()[i] = -information;
      out.eta_s()[i] = -2 * u * inverse;
      out.s_s()[i] = -2 * u * u;
    }
    return;
  }
  if (spec.kind == ExpertKind::gamma) return gamma_derivatives(dispersion, rows, out);
  if (!is_gaussian(spec.kind)) {
    for (std::size_t i = 0; i < kRows; ++i) {  // canonical links: the observed information is the expected one
      out.eta()[i] = rows.score[i];
      out.eta_eta()[i] = -rows.information[i];
      out.s()[i] = out.eta_s()[i] = out.s_s()[i] = 0.0;
    }
    return;
  }
  const double inverse = 1 / dispersion, limit = index_limit(spec);
  for (std::size_t i = 0; i < kRows; ++i) {
    const LinkValue mean = link_value(spec, std::clamp(-rows.index[i], -limit, limit));
    const double u = (rows.y[i] - mean.g) * inverse, slope = mean.first * inverse;
    out.eta()[i] = u * slope;
    out.s()[i] = u * u - 1;
    out.eta_eta()[i] = u * mean.second * inverse - slope * slope;
    out.eta_s()[i] = -2 * u * slope;
    out.s_s()[i] = -2 * u * u;
  }
}

}  // namespace clearway::detail
