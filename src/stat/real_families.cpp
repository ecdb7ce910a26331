// Laplace, skew-normal, skew-t and tobit: derivatives of log f(y | eta, s, m) by way of z = (y - eta) / exp(s).
#include <cmath>

#include "clearway/core/normal_tail.hpp"
#include "clearway/core/student_tail.hpp"
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

// l = log 2 - s + B(z, u) + L(w, u) with u = log nu, B = log t_nu(z), L = log T_{nu+1}(w), w = slant q(z, u),
// q = z sqrt((nu + 1) / (nu + z^2)). Derivatives of L in the degrees of freedom are differences (student_tail.hpp).
PointDerivatives skew_t_point(double y, double eta, const double* extra, Order order) {
  PointDerivatives d;
  const double scale = std::exp(extra[0]), slant = extra[1], nu = std::exp(extra[2]);
  const double z = (y - eta) / scale, z2 = z * z, t = nu + z2, n = nu + 1;
  const double q = z * std::sqrt(n / t), w = slant * q;
  const double log_cdf = log_student_cdf(w, n);
  d.value = kLogTwo - extra[0] + log_student_density(z, nu) + log_cdf;
  if (order == Order::value) return d;
  const double q_z = std::sqrt(n / t) * nu / t, q_zz = -3 * z * q_z / t;
  const double h = 0.5 * nu * (z2 - 1) / (n * t);
  const double q_u = q * h, q_uu = q * (h * h + 0.5 * (z2 - 1) * nu * (z2 - nu * nu) / (n * n * t * t));
  const double q_zu = q_z * (0.5 * nu / n + 1 - 1.5 * nu / t);
  const double ratio = std::exp(log_student_density(w, n) - log_cdf);
  const double l_ww = -ratio * ((n + 1) * w / (n + w * w) + ratio);
  const StudentCdfSlope in_log_n = log_student_cdf_in_log_n(w, n);
  const double l_u = in_log_n.first * nu / n;
  const double l_uu = in_log_n.second * (nu / n) * (nu / n) + in_log_n.first * nu / (n * n);
  const double w2 = w * w;
  const double density_u =
      nu * (half_step_gamma_ratio(n).first - 0.5 / n - 0.5 * std::log1p(w2 / n) + 0.5 * (n + 1) * w2 / (n * (n + w2)));
  const double l_wu = ratio * (density_u - l_u);

  const GammaRatio gamma = half_step_gamma_ratio(nu);
  const double base = nu * t;
  const double b_nu = gamma.first + 0.5 * (-1 / nu - std::log1p(z2 / nu) + n * z2 / base);
  const double b_nu_nu =
      gamma.second + 0.5 * (1 / (nu * nu) + z2 / base + z2 * (base - n * (2 * nu + z2)) / (base * base));
  const double first = -n * z / t + ratio * slant * q_z;
  const double second = -n * (nu - z2) / (t * t) + l_ww * slant * slant * q_z * q_z + ratio * slant * q_zz;
  location_scale(z, first, second, scale, d);
  d.s -= 1;
  d.information = n / (nu + 3) / (scale * scale);
  const double z_m = l_ww * slant * q * q_z + ratio * q_z;
  d.m = ratio * q;
  d.m_m = l_ww * q * q;
  d.eta_m = -z_m / scale;
  d.s_m = -z * z_m;
  const double z_u =
      -nu * (z2 - 1) * z / (t * t) + l_wu * slant * q_z + l_ww * slant * slant * q_u * q_z + ratio * slant * q_zu;
  d.t = nu * b_nu + l_u + ratio * slant * q_u;
  d.t_t = nu * b_nu + nu * nu * b_nu_nu + l_uu + 2 * l_wu * slant * q_u + l_ww * slant * slant * q_u * q_u +
          ratio * slant * q_uu;
  d.eta_t = -z_u / scale;
  d.s_t = -z * z_u;
  d.m_t = l_wu * q + l_ww * slant * q_u * q + ratio * q_u;
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
