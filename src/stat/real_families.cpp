// Laplace, skew-normal and tobit: derivatives of log f(y | eta, s, m) by way of z = (y - eta) / exp(s).
#include <cmath>

#include "clearway/core/normal_tail.hpp"
#include "families.hpp"

namespace clearway::detail {
namespace {

constexpr double kHalfLogTwoPi = 0.91893853320467274178;
constexpr double kLogTwo = 0.69314718055994530942;

// From the derivatives in z to those in eta and s (the -s of the density itself left out).
void location_scale(double z, double first, double second, double scale, PointDerivatives& d) {
  d.eta = -first / scale;
  d.eta_eta = second / (scale * scale);
  d.s = -z * first;
  d.s_s = z * first + z * z * second;
  d.eta_s = (first + z * second) / scale;
}

}  // namespace

PointDerivatives laplace_point(double y, double eta, const double* extra) {
  PointDerivatives d;
  const double scale = std::exp(extra[0]);
  const double z = (y - eta) / scale;
  d.value = -kLogTwo - extra[0] - std::abs(z);
  location_scale(z, z > 0 ? -1.0 : z < 0 ? 1.0 : 0.0, 0.0, scale, d);
  d.s -= 1;
  d.information = 1 / (scale * scale);
  return d;
}

PointDerivatives skew_normal_point(double y, double eta, const double* extra) {
  PointDerivatives d;
  const double scale = std::exp(extra[0]), slant = extra[1];
  const double z = (y - eta) / scale;
  const double ratio = inverse_mills_ratio(slant * z);
  const double curvature = -ratio * (ratio + slant * z);
  d.value = kLogTwo - kHalfLogTwoPi - extra[0] - 0.5 * z * z + log_normal_cdf(slant * z);
  location_scale(z, -z + slant * ratio, -1 + slant * slant * curvature, scale, d);
  d.s -= 1;
  d.information = 1 / (scale * scale);
  const double mixed = ratio + slant * z * curvature;  // d2 / dz d slant
  d.m = z * ratio;
  d.m_m = z * z * curvature;
  d.eta_m = -mixed / scale;
  d.s_m = -z * mixed;
  return d;
}

PointDerivatives tobit_point(double y, double eta, const double* extra, double event) {
  PointDerivatives d;
  const double scale = std::exp(extra[0]);
  const double z = (y - eta) / scale;
  d.information = 1 / (scale * scale);
  if (event > 0.5) {
    d.value = -kHalfLogTwoPi - extra[0] - 0.5 * z * z;
    location_scale(z, -z, -1, scale, d);
    d.s -= 1;
    return d;
  }
  const double side = event > -0.5 ? -1 : 1;  // the response lies above y: Phi(-z); below: Phi(z)
  const double ratio = inverse_mills_ratio(side * z);
  d.value = log_normal_cdf(side * z);
  location_scale(z, side * ratio, -ratio * (ratio + side * z), scale, d);
  return d;
}

}  // namespace clearway::detail
