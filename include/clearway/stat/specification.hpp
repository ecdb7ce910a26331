// What a user may ask for: kinds of gates and experts and their fixed (not estimated) settings.
#pragma once

#include <array>
#include <span>

#include "clearway/base/options.hpp"
#include "clearway/stat/gate_specification.hpp"  // IWYU pragma: export

namespace clearway {

/// Likelihood and mean function of an expert. Formulas: clearway/core/experts/.
enum class ExpertKind {
  linear,
  sigmoid,
  tanh,
  relu,
  leaky_relu,
  polynomial,
  constant,
  student_t,
  network,
  bernoulli,
  binomial,
  multinomial,
  poisson,
  gamma
};

inline std::span<const EnumName<ExpertKind>> enum_names(ExpertKind) {
  static constexpr std::array<EnumName<ExpertKind>, 14> names{{
      {ExpertKind::linear, "linear", "Gaussian, mean a'x + b"},
      {ExpertKind::sigmoid, "sigmoid", "Gaussian, mean sigmoid(a'x + b)"},
      {ExpertKind::tanh, "tanh", "Gaussian, mean tanh(a'x + b)"},
      {ExpertKind::relu, "relu", "Gaussian, mean max(0, a'x + b)"},
      {ExpertKind::leaky_relu, "leaky-relu", "Gaussian, mean a'x + b where positive, leak times that elsewhere"},
      {ExpertKind::polynomial, "polynomial", "Gaussian, mean (a'x + b)^degree"},
      {ExpertKind::constant, "constant", "Gaussian, mean b"},
      {ExpertKind::student_t, "student-t", "Student t around a'x + b: robust"},
      {ExpertKind::network, "network", "Gaussian, mean of one hidden tanh layer"},
      {ExpertKind::bernoulli, "bernoulli", "0/1 response, logit link"},
      {ExpertKind::binomial, "binomial", "successes out of --trials, logit link"},
      {ExpertKind::multinomial, "multinomial", "a class, multinomial logit"},
      {ExpertKind::poisson, "poisson", "counts, log link"},
      {ExpertKind::gamma, "gamma", "positive response, log link"},
  }};
  return names;
}

/// Whether each expert has its own noise level or all share one.
enum class VarianceKind { separate, shared };

inline std::span<const EnumName<VarianceKind>> enum_names(VarianceKind) {
  static constexpr std::array<EnumName<VarianceKind>, 2> names{{
      {VarianceKind::separate, "separate", "one noise level per expert"},
      {VarianceKind::shared, "shared", "one noise level for all experts"},
  }};
  return names;
}

/// Divisor of the residual sum of squares in the noise estimate.
enum class VarianceDivisor { likelihood, unbiased };

inline std::span<const EnumName<VarianceDivisor>> enum_names(VarianceDivisor) {
  static constexpr std::array<EnumName<VarianceDivisor>, 2> names{{
      {VarianceDivisor::likelihood, "likelihood", "weighted count: the maximum likelihood estimate"},
      {VarianceDivisor::unbiased, "unbiased", "weighted count times (n - p) / n, as flexmix does"},
  }};
  return names;
}

/// Covariance of the noise of a vector response, per expert.
enum class CovarianceKind { full, diagonal };

inline std::span<const EnumName<CovarianceKind>> enum_names(CovarianceKind) {
  static constexpr std::array<EnumName<CovarianceKind>, 2> names{{
      {CovarianceKind::full, "full", "every covariance"},
      {CovarianceKind::diagonal, "diagonal", "variances only"},
  }};
  return names;
}

/// An expert as asked for.
struct ExpertSpec {
  ExpertKind kind = ExpertKind::linear;
  int degree = 2;      ///< polynomial: the power
  double leak = 0.01;  ///< leaky ReLU: slope below zero
  int hidden = 4;      ///< network: hidden units
  VarianceKind variance = VarianceKind::separate;
  CovarianceKind covariance = CovarianceKind::full;
  VarianceDivisor divisor = VarianceDivisor::likelihood;
};

}  // namespace clearway
