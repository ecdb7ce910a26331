// Negative binomial and zero-inflated Poisson: derivatives of log f(y | eta, s).
#include <boost/math/special_functions/log1p.hpp>

#include <cmath>

#include "families.hpp"

namespace clearway::detail {
namespace {

constexpr double kSeriesSize = 1000;  // from here on differences of gamma functions come from their series

// log Gamma(theta + y) - log Gamma(theta) - y log theta and its first two derivatives in theta.
struct RisingFactorial {
  double value = 0, first = 0, second = 0;
};

// Where theta is large the log Gammas cancel; Stirling's series (DLMF 5.11) gives their difference to rounding: the
// first term left out is below 1e-18 from theta = 1000 on.
RisingFactorial rising_factorial(double theta, double y, Order order) {
  RisingFactorial r;
  const double sum = theta + y;
  if (theta < kSeriesSize) {
    r.value = log_gamma(sum) - log_gamma(theta) - y * std::log(theta);
    if (order == Order::value) return r;
    r.first = digamma(sum) - digamma(theta) - y / theta;
    r.second = trigamma(sum) - trigamma(theta) + y / (theta * theta);
    return r;
  }
  const double a = 1 / sum, b = 1 / theta, u = y / theta;
  const double log_excess = boost::math::log1pmx(u);  // log(1 + u) - u
  // (sum - 1/2) log(1 + u) - y, with y = theta u.
  r.value = sum * log_excess + y * u - 0.5 * std::log1p(u) + (a - b) / 12 - (a * a * a - b * b * b) / 360;
  if (order == Order::value) return r;
  const double difference = -y * a * b;  // a - b
  r.first = log_excess - 0.5 * difference - (a + b) * difference / 12 + (a * a * a * a - b * b * b * b) / 120;
  r.second = y * y * a * b * b + 0.5 * (a + b) * difference + (a * a * a - b * b * b) / 6;
  return r;
}

}  // namespace

PointDerivatives negative_binomial_point(double y, double eta, const double* extra, Order order) {
  PointDerivatives d;
  const double theta = std::exp(extra[0]);
  const double mu = std::exp(eta);
  const double v = mu / theta;
  const RisingFactorial rising = rising_factorial(theta, y, order);
  d.value = rising.value - log_factorial(y) + y * eta - (y + theta) * std::log1p(v);
  if (order == Order::value) return d;
  const double total = theta + mu;
  d.eta = (y - mu) * theta / total;
  d.eta_eta = -(mu / total) * (theta / total) * (y + theta);
  d.information = mu * theta / total;
  // Written so that the leading terms, which cancel as theta grows, never appear.
  const double first = rising.first - boost::math::log1pmx(v) + v * (y - mu) / total;
  const double second = rising.second - v * v / total - (y - mu) * v * (1 / theta + 1 / total) / total;
  d.s = theta * first;
  d.s_s = theta * first + theta * theta * second;
  d.eta_s = theta * (y - mu) * mu / (total * total);
  return d;
}

PointDerivatives zero_inflated_poisson_point(double y, double eta, const double* extra) {
  const auto softplus = [](double t) { return t > 0 ? t + std::log1p(std::exp(-t)) : std::log1p(std::exp(t)); };
  const auto logistic = [](double t) { return t >= 0 ? 1 / (1 + std::exp(-t)) : std::exp(t) / (1 + std::exp(t)); };
  PointDerivatives d;
  const double lambda = std::exp(eta), t = extra[0];
  const double pi = logistic(t);
  d.information = (1 - pi) * lambda;
  d.value = -softplus(t) - lambda;
  d.s = -pi;
  d.s_s = -pi * (1 - pi);
  if (y > 0) {
    d.value += y * eta - log_factorial(y);
    d.eta = y - lambda;
    d.eta_eta = -lambda;
    return d;
  }
  const double w = logistic(t + lambda);  // probability that the zero is an extra one
  d.value += softplus(t + lambda);
  d.eta = -(1 - w) * lambda;
  d.eta_eta = d.eta + w * (1 - w) * lambda * lambda;
  d.s += w;
  d.s_s += w * (1 - w);
  d.eta_s = w * (1 - w) * lambda;
  return d;
}

}  // namespace clearway::detail
