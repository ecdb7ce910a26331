// Mean, variance and distribution function of the single-index families.
#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/special_functions/owens_t.hpp>
#include <cmath>

#include "clearway/core/normal_tail.hpp"
#include "clearway/core/student_tail.hpp"
#include "families.hpp"

namespace clearway::detail {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kTwoOverPi = 0.63661977236758134308;

double logistic(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z * 0.70710678118654752440);
}

double slant_delta(double slant) {
  return slant / std::hypot(1.0, slant);
}

// (E[y] - location) / scale of a skew-t distribution, nu > 1.
double skew_t_shift(const double* extra) {
  constexpr double kRootOneOverPi = 0.56418958354775628695;
  const double nu = std::exp(extra[2]);
  return slant_delta(extra[1]) * kRootOneOverPi * std::exp(0.5 * extra[2] - student_tail::half_step_log_gamma(nu - 1));
}

// P(Z <= z) of the standard skew-t distribution: the skew-normal one, Phi(z) - 2 T(z, slant) with Owen's T, averaged over
// the chi-squared variable that makes it a t.
double skew_t_cdf(double z, double slant, double nu) {
  constexpr double kPi = 3.14159265358979323846;
  const auto integrand = [&](double angle) {
    const double cosine = std::cos(angle);
    return std::exp(-0.5 * nu * std::log1p(z * z / (nu * cosine * cosine)));
  };
  const double end = std::atan(slant);
  const double owen =
      end == 0 ? 0 : boost::math::quadrature::gauss_kronrod<double, 31>::integrate(integrand, 0.0, end, 8, 1e-11);
  return std::clamp(std::exp(log_student_cdf(z, nu)) - owen / kPi, 0.0, 1.0);
}

// Beyond a mean of 1e9 the series of the incomplete gamma function take too long: the first terms of Edgeworth's expansion with
// the correction for continuity, error of order 1 / mean.
double poisson_cdf(double y, double mean) {
  if (mean > 1e9) {
    const double root = std::sqrt(mean), z = (std::floor(y) + 0.5 - mean) / root;
    const double density = 0.39894228040143267794 * std::exp(-0.5 * z * z);
    return std::clamp(normal_cdf(z) + density * (1 - z * z) / (6 * root), 0.0, 1.0);
  }
  return y < 0 ? 0 : (mean > 0 ? boost::math::gamma_q(std::floor(y) + 1, mean) : 1);
}

// Chhikara and Folks 1974; the second term in logarithms, because exp(2 shape / mean) overflows.
double inverse_gaussian_cdf(double y, double mean, double shape) {
  if (!(y > 0)) return 0;
  const double root = std::sqrt(shape / y), ratio = y / mean;
  const double second = std::exp(2 * shape / mean + log_normal_cdf(-root * (ratio + 1)));
  return std::min(1.0, normal_cdf(root * (ratio - 1)) + second);
}

}  // namespace

double family_mean(const ExpertSpec& spec, double eta, const double* extra, double trials) {
  switch (spec.kind) {
    case ExpertKind::poisson:
    case ExpertKind::negative_binomial:
    case ExpertKind::exponential:
      return std::exp(eta);
    case ExpertKind::gamma:
    case ExpertKind::inverse_gaussian:
      return link_mean(spec.link, eta).g;
    case ExpertKind::weibull:
      return std::exp(eta + log_gamma(1 + std::exp(-extra[0])));
    case ExpertKind::zero_inflated_poisson:
      return logistic(-extra[0]) * std::exp(eta);
    case ExpertKind::bernoulli:
    case ExpertKind::binomial:
      return trials * logistic(eta);
    case ExpertKind::beta:
      return logistic(eta);
    case ExpertKind::skew_normal:
      return eta + std::exp(extra[0]) * slant_delta(extra[1]) * std::sqrt(kTwoOverPi);
    case ExpertKind::skew_t:
      return eta + std::exp(extra[0]) * skew_t_shift(extra);
    default:
      return link_value(spec, eta).g;
  }
}

double family_variance(const ExpertSpec& spec, double eta, const double* extra, double trials) {
  const double mean = family_mean(spec, eta, extra, trials);
  switch (spec.kind) {
    case ExpertKind::poisson:
      return mean;
    case ExpertKind::negative_binomial:
      return mean + mean * mean * std::exp(-extra[0]);
    case ExpertKind::zero_inflated_poisson:
      return mean * (1 + logistic(extra[0]) * std::exp(eta));
    case ExpertKind::bernoulli:
    case ExpertKind::binomial:
      return mean * (1 - mean / trials);
    case ExpertKind::gamma:
      return mean * mean * std::exp(-extra[0]);
    case ExpertKind::inverse_gaussian:
      return mean * mean * mean * std::exp(-extra[0]);
    case ExpertKind::exponential:
      return mean * mean;
    case ExpertKind::weibull: {
      const double inverse = std::exp(-extra[0]);
      return std::exp(2 * eta + log_gamma(1 + 2 * inverse)) - mean * mean;
    }
    case ExpertKind::beta:
      return mean * (1 - mean) / (1 + std::exp(extra[0]));
    case ExpertKind::laplace:
      return 2 * std::exp(2 * extra[0]);
    case ExpertKind::skew_normal: {
      const double delta = slant_delta(extra[1]);
      return std::exp(2 * extra[0]) * (1 - kTwoOverPi * delta * delta);
    }
    case ExpertKind::skew_t: {
      const double nu = std::exp(extra[2]), shift = skew_t_shift(extra);
      return nu > 2 ? std::exp(2 * extra[0]) * (nu / (nu - 2) - shift * shift)
                    : std::numeric_limits<double>::infinity();
    }
    case ExpertKind::student_t: {
      const double nu = std::exp(extra[1]);
      return nu > 2 ? std::exp(2 * extra[0]) * nu / (nu - 2) : std::numeric_limits<double>::infinity();
    }
    default:
      return std::exp(2 * extra[0]);
  }
}

double family_distribution(const ExpertSpec& spec, double y, double eta, const double* extra, double trials) {
  if (std::isnan(y) || std::isnan(eta)) return kNan;
  switch (spec.kind) {
    case ExpertKind::poisson:
      return poisson_cdf(y, std::exp(eta));
    case ExpertKind::negative_binomial: {
      const double size = std::exp(extra[0]), mean = std::exp(eta);
      constexpr double kAsPoisson = 1e10;  // the variance is then the mean to 1e-10 of it
      if (size > kAsPoisson) return poisson_cdf(y, mean);
      if (y < 0) return 0;
      return mean > 0 ? boost::math::ibeta(size, std::floor(y) + 1, size / (size + mean)) : 1;
    }
    case ExpertKind::zero_inflated_poisson:
      return y < 0 ? 0 : logistic(extra[0]) + logistic(-extra[0]) * poisson_cdf(y, std::exp(eta));
    case ExpertKind::bernoulli:
    case ExpertKind::binomial: {
      const double k = std::floor(y);
      return k < 0 ? 0 : k >= trials ? 1 : boost::math::ibetac(k + 1, trials - k, logistic(eta));
    }
    case ExpertKind::gamma: {
      const double mean = link_mean(spec.link, eta).g, shape = std::exp(extra[0]);
      if (std::isnan(mean)) return kNan;
      return y <= 0 ? 0 : boost::math::gamma_p(shape, shape * y / mean);
    }
    case ExpertKind::inverse_gaussian: {
      const double mean = link_mean(spec.link, eta).g;
      return std::isnan(mean) ? kNan : inverse_gaussian_cdf(y, mean, std::exp(extra[0]));
    }
    case ExpertKind::weibull:
      return y <= 0 ? 0 : -std::expm1(-std::exp(std::exp(extra[0]) * (std::log(y) - eta)));
    case ExpertKind::exponential:
      return y <= 0 ? 0 : -std::expm1(-y * std::exp(-eta));
    case ExpertKind::beta: {
      const double phi = std::exp(extra[0]);
      if (y <= 0 || y >= 1) return y <= 0 ? 0 : 1;
      return boost::math::ibeta(logistic(eta) * phi, logistic(-eta) * phi, y);
    }
    case ExpertKind::laplace: {
      const double z = (y - eta) * std::exp(-extra[0]);
      return z < 0 ? 0.5 * std::exp(z) : 1 - 0.5 * std::exp(-z);
    }
    case ExpertKind::skew_normal: {
      const double z = (y - eta) * std::exp(-extra[0]);
      return std::clamp(normal_cdf(z) - 2 * boost::math::owens_t(z, extra[1]), 0.0, 1.0);
    }
    case ExpertKind::skew_t:
      return skew_t_cdf((y - eta) * std::exp(-extra[0]), extra[1], std::exp(extra[2]));
    case ExpertKind::student_t:
      return boost::math::cdf(boost::math::students_t(std::exp(extra[1])), (y - eta) * std::exp(-extra[0]));
    default:
      return normal_cdf((y - link_value(spec, eta).g) * std::exp(-extra[0]));
  }
}

}  // namespace clearway::detail
