// Gamma, inverse Gaussian, Weibull, exponential and beta: derivatives of log f(y | eta, s).
#include <cmath>
#include <limits>

#include "families.hpp"

namespace clearway::detail {
namespace {

constexpr double kHalfLogTwoPi = 0.91893853320467274178;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A linear predictor outside of the link's domain: density 0. Derivatives stay 0, so that responsibilities of 0 do not
// meet NaN.
PointDerivatives impossible() {
  PointDerivatives d;
  d.value = -kInfinity;
  return d;
}

// Chain rule from log mu to eta: fields eta, eta_eta, eta_s hold derivatives in log mu on entry.
void through_link(const LinkValue& mean, PointDerivatives& d) {
  const double first = mean.first / mean.g;  // d log mu / d eta
  const double second = mean.second / mean.g - first * first;
  d.eta_eta = d.eta_eta * first * first + d.eta * second;
  d.eta *= first;
  d.eta_s *= first;
  d.information *= first * first;
}

}  // namespace

LinkValue link_mean(LinkKind link, double eta) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (link == LinkKind::log) {
    const double mean = std::exp(eta);
    return {mean, mean, mean};
  }
  if (!(eta > 0)) return {kNan, kNan, kNan};
  switch (link) {
    case LinkKind::inverse:
      return {1 / eta, -1 / (eta * eta), 2 / (eta * eta * eta)};
    case LinkKind::inverse_square: {
      const double mean = 1 / std::sqrt(eta);
      return {mean, -0.5 * mean / eta, 0.75 * mean / (eta * eta)};
    }
    default:
      return {eta, 1, 0};
  }
}

PointDerivatives gamma_point(LinkKind link, double y, double eta, const double* extra, Order order) {
  const bool log_link = link == LinkKind::log;
  const LinkValue mean = log_link ? LinkValue{1, 1, 1} : link_mean(link, eta);
  if (!(mean.g > 0)) return impossible();
  const double log_mu = log_link ? eta : std::log(mean.g);
  PointDerivatives d;
  const double a = std::exp(extra[0]);
  const double log_y = std::log(y);
  const double ratio = std::exp(log_y - log_mu);
  d.value = a * (extra[0] + log_y - log_mu - ratio) - log_gamma(a) - log_y;
  if (order == Order::value) return d;
  const double q = extra[0] + 1 - log_mu - digamma(a) + log_y - ratio;
  d.eta = a * (ratio - 1);
  d.eta_eta = -a * ratio;
  d.information = a;
  d.s = a * q;
  d.s_s = a * q + a * (1 - a * trigamma(a));
  d.eta_s = a * (ratio - 1);
  if (!log_link) through_link(mean, d);
  return d;
}

PointDerivatives inverse_gaussian_point(LinkKind link, double y, double eta, const double* extra, Order order) {
  const LinkValue mean = link_mean(link, eta);
  if (!(mean.g > 0) || !std::isfinite(mean.g)) return impossible();
  PointDerivatives d;
  const double lambda = std::exp(extra[0]);
  const double ratio = y / mean.g;
  const double deviation = (ratio - 1) * (ratio - 1) / y;
  d.value = 0.5 * extra[0] - kHalfLogTwoPi - 1.5 * std::log(y) - 0.5 * lambda * deviation;
  if (order == Order::value) return d;
  // In log mu: d ratio = -ratio, so d deviation = -2 ratio (ratio - 1) / y.
  d.eta = lambda * ratio * (ratio - 1) / y;
  d.eta_eta = -lambda * ratio * (2 * ratio - 1) / y;
  d.information = lambda / mean.g;
  d.eta_s = d.eta;
  d.s = 0.5 - 0.5 * lambda * deviation;
  d.s_s = -0.5 * lambda * deviation;
  through_link(mean, d);
  return d;
}

PointDerivatives weibull_point(double y, double eta, const double* extra, double event) {
  PointDerivatives d;
  const double shape = std::exp(extra[0]);
  const double log_y = std::log(y);
  const double w = shape * (log_y - eta);
  const double e = std::exp(w);
  const double observed = event > 0.5 ? 1 : 0;
  const double slope = observed - e;  // d value / d w
  d.value = observed * (extra[0] + w - log_y) - e;
  d.eta = -shape * slope;
  d.eta_eta = -shape * shape * e;
  d.information = shape * shape * e;
  d.s = observed + slope * w;
  d.s_s = slope * w - e * w * w;
  d.eta_s = shape * (e * w - slope);
  return d;
}

PointDerivatives exponential_point(double y, double eta, double event) {
  PointDerivatives d;
  const double observed = event > 0.5 ? 1 : 0;
  const double hazard = y * std::exp(-eta);
  d.value = -observed * eta - hazard;
  d.eta = hazard - observed;
  d.eta_eta = -hazard;
  d.information = hazard;
  return d;
}

PointDerivatives beta_point(double y, double eta, const double* extra, Order order) {
  PointDerivatives d;
  const double phi = std::exp(extra[0]);
  const double mu = eta >= 0 ? 1 / (1 + std::exp(-eta)) : std::exp(eta) / (1 + std::exp(eta));
  const double rest = eta >= 0 ? std::exp(-eta) / (1 + std::exp(-eta)) : 1 / (1 + std::exp(eta));
  const double a = mu * phi, b = rest * phi;
  if (!(a > 0) || !(b > 0)) return impossible();
  const double log_y = std::log(y), log_rest = std::log1p(-y);
  d.value = log_gamma(phi) - log_gamma(a) - log_gamma(b) + (a - 1) * log_y + (b - 1) * log_rest;
  if (order == Order::value) return d;
  const double psi_a = digamma(a), psi_b = digamma(b), psi1_a = trigamma(a), psi1_b = trigamma(b);
  // In mu first: a = mu phi, b = (1 - mu) phi.
  const double in_mu = phi * (psi_b - psi_a + log_y - log_rest);
  const double in_mu2 = -phi * phi * (psi1_a + psi1_b);
  const double in_phi = digamma(phi) - mu * psi_a - rest * psi_b + mu * log_y + rest * log_rest;
  const double in_phi2 = trigamma(phi) - mu * mu * psi1_a - rest * rest * psi1_b;
  const double in_mu_phi = in_mu / phi + phi * (rest * psi1_b - mu * psi1_a);
  const double first = mu * rest, second = first * (rest - mu);
  d.eta = in_mu * first;
  d.eta_eta = in_mu2 * first * first + in_mu * second;
  d.information = -in_mu2 * first * first;
  d.s = phi * in_phi;
  d.s_s = d.s + phi * phi * in_phi2;
  d.eta_s = phi * in_mu_phi * first;
  return d;
}

}  // namespace clearway::detail
