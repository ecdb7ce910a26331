#include "response_family.hpp"

#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/trigamma.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include "clearway/core/activations.hpp"
#include "families.hpp"

namespace clearway::detail {

namespace {
constexpr double kHalfLogTwoPi = 0.91893853320467274178;
constexpr double kLogPi = 1.14472988584940017414;

double log1p_exp(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

double logistic(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}
}  // namespace

// std::lgamma writes the global signgam, which is a data race between threads; lgamma_r does not.
double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}
double log_factorial(double n) {
  constexpr std::size_t kSize = 1024;
  static const std::array<double, kSize> table = [] {
    std::array<double, kSize> values{};
    for (std::size_t i = 0; i < kSize; ++i) values[i] = log_gamma(static_cast<double>(i) + 1);
    return values;
  }();
  if (n >= 0 && n < static_cast<double>(kSize) && n == std::floor(n)) return table[static_cast<std::size_t>(n)];
  return log_gamma(n + 1);
}
double digamma(double x) {
  return boost::math::digamma(x);
}
double trigamma(double x) {
  return boost::math::trigamma(x);
}
// Differences of large log-gammas cancel, so from nu = 1000 on the asymptotic series is used (DLMF 5.11; the first
// left-out term is below 1e-17).
GammaRatio half_step_gamma_ratio(double nu) {
  if (nu < 1000)
    return {log_gamma((nu + 1) / 2) - log_gamma(nu / 2), 0.5 * (digamma((nu + 1) / 2) - digamma(nu / 2)),
            0.25 * (trigamma((nu + 1) / 2) - trigamma(nu / 2))};
  const double i = 1 / nu;
  return {0.5 * std::log(nu / 2) - 0.25 * i + i * i * i / 24, 0.5 * i + 0.25 * i * i - 0.125 * i * i * i * i,
          -0.5 * i * i - 0.5 * i * i * i + 0.5 * i * i * i * i * i};
}

double gamma_shape(double mean) {
  // Newton on log a, started at Minka's approximation.
  const double c = std::max(mean, 1e-10);
  double a = (3 - c + std::sqrt((c - 3) * (c - 3) + 24 * c)) / (12 * c);
  for (int round = 0; round < 30; ++round) {
    const double value = std::log(a) - digamma(a) - c;
    const double slope = 1 - a * trigamma(a);  // derivative in log a, always negative
    const double step = std::clamp(-value / slope, -2.0, 2.0);
    a *= std::exp(step);
    if (std::abs(step) < 1e-12) break;
  }
  return a;
}

std::span<const ExtraParameter> extra_parameters(ExpertKind kind) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kLogLargestShape = 23.02585092994045684;  // log 1e10
  constexpr double kLogLargestSize = 27.63102111592854821;   // log 1e12: Poisson to rounding
  constexpr double kLargestSlant = 1000;
  // Degrees of freedom of a Student t expert lie between Cauchy and, to 1e-8 of log-likelihood per row, Gaussian.
  static constexpr ExtraParameter kSigma[] = {{"log(sigma)", -kInfinity, kInfinity, 0.0, true}};
  static constexpr ExtraParameter kStudent[] = {{"log(sigma)", -kInfinity, kInfinity, 0.0, true},
                                                {"log(nu)", 0.0, 18.42068074395236547, 2.302585092994045684}};
  static constexpr ExtraParameter kScale[] = {{"log(scale)", -kInfinity, kInfinity, 0.0, true}};
  static constexpr ExtraParameter kSkew[] = {{"log(scale)", -kInfinity, kInfinity, 0.0, true},
                                             {"slant", -kLargestSlant, kLargestSlant, 0.0}};
  constexpr double kLogLargestNu = 18.42068074395236547;
  static constexpr ExtraParameter kSkewT[] = {{"log(scale)", -kInfinity, kInfinity, 0.0, true},
                                              {"slant", -kLargestSlant, kLargestSlant, 0.0},
                                              // from 1.001 on: without a mean there are no predictions
                                              {"log(nu)", 0.0009995003330835, kLogLargestNu, 2.302585092994045684}};
  static constexpr ExtraParameter kShape[] = {{"log(shape)", -kLogLargestShape, kLogLargestShape, 0.0}};
  static constexpr ExtraParameter kSize[] = {{"log(size)", -kLogLargestShape, kLogLargestSize, 0.0}};
  static constexpr ExtraParameter kPrecision[] = {{"log(precision)", -kLogLargestShape, kLogLargestShape, 1.5}};
  static constexpr ExtraParameter kZero[] = {{"logit(zero)", -30.0, 30.0, -1.0}};
  switch (kind) {
    case ExpertKind::poisson:
    case ExpertKind::bernoulli:
    case ExpertKind::binomial:
    case ExpertKind::multinomial:
    case ExpertKind::conditional_logit:
    case ExpertKind::ordinal:
    case ExpertKind::heteroscedastic:
    case ExpertKind::exponential:
      return {};
    case ExpertKind::student_t:
      return kStudent;
    case ExpertKind::laplace:
      return kScale;
    case ExpertKind::skew_normal:
      return kSkew;
    case ExpertKind::skew_t:
      return kSkewT;
    case ExpertKind::gamma:
    case ExpertKind::inverse_gaussian:
    case ExpertKind::weibull:
      return kShape;
    case ExpertKind::negative_binomial:
      return kSize;
    case ExpertKind::beta:
      return kPrecision;
    case ExpertKind::zero_inflated_poisson:
      return kZero;
    default:
      return kSigma;
  }
}

bool is_single_index(ExpertKind kind) {
  return kind != ExpertKind::network && !has_classes(kind);
}

bool is_smooth(ExpertKind kind) {
  return kind != ExpertKind::relu && kind != ExpertKind::leaky_relu && kind != ExpertKind::laplace;
}

LinkValue link_value(const ExpertSpec& spec, double eta) {
  Activation g;
  switch (spec.kind) {
    case ExpertKind::sigmoid:
      g.kind = ActivationKind::sigmoid;
      break;
    case ExpertKind::tanh:
      g.kind = ActivationKind::tanh;
      break;
    case ExpertKind::gelu:
      g.kind = ActivationKind::gelu;
      break;
    case ExpertKind::relu:
      g.kind = ActivationKind::relu;
      break;
    case ExpertKind::leaky_relu:
      g = {.kind = ActivationKind::leaky_relu, .leak = spec.leak};
      break;
    case ExpertKind::polynomial:
      g = {.kind = ActivationKind::polynomial, .degree = spec.degree};
      break;
    default:
      break;
  }
  return {g.value(eta), g.derivative(eta), g.second_derivative(eta)};
}

PointDerivatives point_derivatives(const ExpertSpec& spec, double y, double eta, const double* extra, double trials,
                                   double event, Order order) {
  PointDerivatives d;
  switch (spec.kind) {
    case ExpertKind::inverse_gaussian:
      return inverse_gaussian_point(spec.link, y, eta, extra, order);
    case ExpertKind::weibull:
      return weibull_point(y, eta, extra, event);
    case ExpertKind::exponential:
      return exponential_point(y, eta, event);
    case ExpertKind::beta:
      return beta_point(y, eta, extra, order);
    case ExpertKind::negative_binomial:
      return negative_binomial_point(y, eta, extra, order);
    case ExpertKind::zero_inflated_poisson:
      return zero_inflated_poisson_point(y, eta, extra);
    case ExpertKind::laplace:
      return laplace_point(y, eta, extra);
    case ExpertKind::skew_normal:
      return skew_normal_point(y, eta, extra);
    case ExpertKind::skew_t:
      return skew_t_point(y, eta, extra, order);
    case ExpertKind::tobit:
      return tobit_point(y, eta, extra, event);
    case ExpertKind::poisson: {
      const double mean = std::exp(eta);
      d.value = y * eta - mean - log_factorial(y);
      d.eta = y - mean;
      d.eta_eta = -mean;
      d.information = mean;
      return d;
    }
    case ExpertKind::bernoulli:
    case ExpertKind::binomial: {
      const double p = logistic(eta);
      d.value = y * eta - trials * log1p_exp(eta);
      if (trials > 1) d.value += log_factorial(trials) - log_factorial(y) - log_factorial(trials - y);
      d.eta = y - trials * p;
      d.information = trials * p * (1 - p);
      d.eta_eta = -d.information;
      return d;
    }
    case ExpertKind::gamma:
      return gamma_point(spec.link, y, eta, extra, order);
    case ExpertKind::student_t: {
      const double sigma = std::exp(extra[0]);
      const double nu = std::exp(extra[1]);
      const double r = (y - eta) / sigma;
      const double r2 = r * r;
      const double t = nu + r2;
      const double w = (nu + 1) / t;
      const GammaRatio ratio = half_step_gamma_ratio(nu);
      d.value = ratio.value - 0.5 * (extra[1] + kLogPi) - extra[0] - 0.5 * (nu + 1) * std::log1p(r2 / nu);
      d.eta = w * r / sigma;
      d.eta_eta = -(nu + 1) * (nu - r2) / (t * t) / (sigma * sigma);
      d.information = (nu + 1) / (nu + 3) / (sigma * sigma);
      d.s = w * r2 - 1;
      d.eta_s = -2 * (nu + 1) * r * nu / (t * t) / sigma;
      d.s_s = -2 * (nu + 1) * r2 * nu / (t * t);
      const double first = ratio.first + 0.5 * (-1 / nu - std::log1p(r2 / nu) + (nu + 1) * r2 / (nu * t));
      const double base = nu * t;
      const double second =
          ratio.second + 0.5 * (1 / (nu * nu) + r2 / (nu * t) + r2 * (base - (nu + 1) * (2 * nu + r2)) / (base * base));
      d.m = nu * first;
      d.m_m = nu * first + nu * nu * second;
      d.eta_m = nu * (r2 - 1) * r / (sigma * t * t);
      d.s_m = nu * (r2 - 1) * r2 / (t * t);
      return d;
    }
    default: {
      const LinkValue g = link_value(spec, eta);
      const double sigma = std::exp(extra[0]);
      const double r = (y - g.g) / sigma;
      d.value = -0.5 * r * r - extra[0] - kHalfLogTwoPi;
      d.eta = r * g.first / sigma;
      d.information = g.first * g.first / (sigma * sigma);
      d.eta_eta = r * g.second / sigma - d.information;
      d.s = r * r - 1;
      d.s_s = -2 * r * r;
      d.eta_s = -2 * r * g.first / sigma;
      return d;
    }
  }
}

}  // namespace clearway::detail
