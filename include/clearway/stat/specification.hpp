// What a user may ask for: kinds of gates and experts and their fixed (not estimated) settings.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/core/link_kind.hpp"
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
  gamma,
  laplace,
  skew_normal,
  heteroscedastic,
  tobit,
  negative_binomial,
  zero_inflated_poisson,
  inverse_gaussian,
  weibull,
  exponential,
  beta,
  ordinal,
  gelu,
  skew_t,
  conditional_logit
};

inline std::span<const EnumName<ExpertKind>> enum_names(ExpertKind) {
  static constexpr std::array<EnumName<ExpertKind>, 28> names{{
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
      {ExpertKind::gamma, "gamma", "positive response, sd grows with the mean; see --link"},
      {ExpertKind::laplace, "laplace", "Laplace around a'x + b: least absolute deviations"},
      {ExpertKind::skew_normal, "skew-normal", "skew-normal around a'x + b"},
      {ExpertKind::heteroscedastic, "heteroscedastic", "Gaussian, mean a'x + b, log sigma linear in x too"},
      {ExpertKind::tobit, "tobit", "Gaussian, some responses censored"},
      {ExpertKind::negative_binomial, "negative-binomial", "counts that vary more than Poisson, log link"},
      {ExpertKind::zero_inflated_poisson, "zero-inflated-poisson", "counts with extra zeros, log link"},
      {ExpertKind::inverse_gaussian, "inverse-gaussian", "positive response, sd grows faster; see --link"},
      {ExpertKind::weibull, "weibull", "time until an event, perhaps censored, log link"},
      {ExpertKind::exponential, "exponential", "the same with constant hazard"},
      {ExpertKind::beta, "beta", "a response between 0 and 1, logit link"},
      {ExpertKind::ordinal, "ordinal", "an ordered class, cumulative logit"},
      {ExpertKind::gelu, "gelu", "Gaussian, mean z Phi(z) with z = a'x + b"},
      {ExpertKind::skew_t, "skew-t", "skew-t around a'x + b: robust and skew"},
      {ExpertKind::conditional_logit, "conditional-logit", "a choice, by the attributes of its alternatives"},
  }};
  return names;
}

/// Which values a response may take, by the kind of expert.
enum class ResponseKind {
  real,
  positive,   ///< above 0
  unit,       ///< between 0 and 1, neither
  counts,     ///< 0, 1, 2 ...
  zero_one,   ///< 0 or 1
  successes,  ///< 0 to the number of trials
  classes,    ///< a class number
};

constexpr ResponseKind response_kind(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::bernoulli:
      return ResponseKind::zero_one;
    case ExpertKind::binomial:
      return ResponseKind::successes;
    case ExpertKind::multinomial:
    case ExpertKind::conditional_logit:
    case ExpertKind::ordinal:
      return ResponseKind::classes;
    case ExpertKind::poisson:
    case ExpertKind::negative_binomial:
    case ExpertKind::zero_inflated_poisson:
      return ResponseKind::counts;
    case ExpertKind::gamma:
    case ExpertKind::inverse_gaussian:
    case ExpertKind::weibull:
    case ExpertKind::exponential:
      return ResponseKind::positive;
    case ExpertKind::beta:
      return ResponseKind::unit;
    default:
      return ResponseKind::real;
  }
}

/// Whether the response is a class (multinomial, conditional logit, ordinal): the mean is then a probability per class.
constexpr bool has_classes(ExpertKind kind) {
  return response_kind(kind) == ResponseKind::classes;
}
/// Whether every class but the last has a linear predictor of its own.
constexpr bool has_class_logits(ExpertKind kind) {
  return kind == ExpertKind::multinomial || kind == ExpertKind::conditional_logit;
}
/// Whether the response is a whole number (classes left out).
constexpr bool is_count(ExpertKind kind) {
  const ResponseKind response = response_kind(kind);
  return response == ResponseKind::counts || response == ResponseKind::zero_one || response == ResponseKind::successes;
}
/// Whether the likelihood knows censored responses.
constexpr bool allows_censoring(ExpertKind kind) {
  return kind == ExpertKind::tobit || kind == ExpertKind::weibull || kind == ExpertKind::exponential;
}
/// Whether the noise is Gaussian with one level for all rows: a weighted residual sum of squares gives its estimate.
constexpr bool has_gaussian_residuals(ExpertKind kind) {
  switch (kind) {
    case ExpertKind::linear:
    case ExpertKind::sigmoid:
    case ExpertKind::tanh:
    case ExpertKind::relu:
    case ExpertKind::leaky_relu:
    case ExpertKind::polynomial:
    case ExpertKind::constant:
    case ExpertKind::network:
    case ExpertKind::gelu:
      return true;
    default:
      return false;
  }
}
/// Throws std::invalid_argument unless experts of these kinds may explain one response together: kinds whose response is
/// a class, 0 or 1, or successes out of trials mix with nothing else.
inline void check_mixture(const std::vector<ExpertKind>& kinds) {
  for (const ExpertKind kind : kinds) {
    const ResponseKind response = response_kind(kind);
    const bool alone =
        response == ResponseKind::classes || response == ResponseKind::zero_one || response == ResponseKind::successes;
    if (alone && kinds.size() > 1)
      user_error("expert: {} experts cannot be mixed with other kinds, here {}", enum_name(kind),
                 enum_name(kind == kinds.front() ? kinds.back() : kinds.front()));
  }
}
/// Whether --link applies.
constexpr bool has_link(ExpertKind kind) {
  return kind == ExpertKind::gamma || kind == ExpertKind::inverse_gaussian;
}

inline std::span<const EnumName<LinkKind>> enum_names(LinkKind) {
  static constexpr std::array<EnumName<LinkKind>, 4> names{{
      {LinkKind::log, "log", "mean = exp(eta)"},
      {LinkKind::inverse, "inverse", "mean = 1 / eta"},
      {LinkKind::inverse_square, "inverse-square", "mean = 1 / sqrt(eta)"},
      {LinkKind::identity, "identity", "mean = eta"},
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

/// Covariance of the noise of a vector response. The 14 forms of Celeux and Govaert (1995) in the letters of mclust and
/// MoEClust: volume, shape and orientation of the experts' ellipsoids are equal (E), vary (V) or are those of a sphere or of
/// the axes (I). Free covariances per expert, VVV and VVI, have names of their own.
enum class CovarianceKind { full, diagonal, eii, vii, eei, vei, evi, eee, vee, eve, eev, vve, vev, evv };

inline std::span<const EnumName<CovarianceKind>> enum_names(CovarianceKind) {
  static constexpr std::array<EnumName<CovarianceKind>, 16> names{{
      {CovarianceKind::full, "full", "every covariance, for each expert"},
      {CovarianceKind::diagonal, "diagonal", "variances only, for each expert"},
      {CovarianceKind::eii, "EII", "one variance"},
      {CovarianceKind::vii, "VII", "one variance for each expert"},
      {CovarianceKind::eei, "EEI", "the same variances for all experts"},
      {CovarianceKind::vei, "VEI", "variances of one shape, own volumes"},
      {CovarianceKind::evi, "EVI", "variances of one volume, own shapes"},
      {CovarianceKind::diagonal, "VVI", "another name of diagonal"},
      {CovarianceKind::eee, "EEE", "the same covariance for all experts"},
      {CovarianceKind::vee, "VEE", "own volumes"},
      {CovarianceKind::eve, "EVE", "own shapes"},
      {CovarianceKind::eev, "EEV", "own orientations"},
      {CovarianceKind::vve, "VVE", "own volumes and shapes"},
      {CovarianceKind::vev, "VEV", "own volumes and orientations"},
      {CovarianceKind::evv, "EVV", "own shapes and orientations"},
      {CovarianceKind::full, "VVV", "another name of full"},
  }};
  return names;
}

/// Whether variances are all there is.
constexpr bool is_diagonal(CovarianceKind kind) {
  return kind == CovarianceKind::diagonal || kind == CovarianceKind::eii || kind == CovarianceKind::vii ||
         kind == CovarianceKind::eei || kind == CovarianceKind::vei || kind == CovarianceKind::evi;
}
/// Whether the experts have parts of their covariances in common, or one variance for all responses.
constexpr bool is_parsimonious(CovarianceKind kind) {
  return kind != CovarianceKind::full && kind != CovarianceKind::diagonal;
}

/// An expert as asked for.
struct ExpertSpec {
  ExpertKind kind = ExpertKind::linear;
  int degree = 2;                 ///< polynomial: the power
  double leak = 0.01;             ///< leaky ReLU: slope below zero
  int hidden = 4;                 ///< network: hidden units
  LinkKind link = LinkKind::log;  ///< gamma, inverse Gaussian
  VarianceKind variance = VarianceKind::separate;
  CovarianceKind covariance = CovarianceKind::full;
  VarianceDivisor divisor = VarianceDivisor::likelihood;
};

}  // namespace clearway
