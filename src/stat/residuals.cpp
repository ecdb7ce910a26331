#include "clearway/stat/residuals.hpp"

#include <algorithm>
#include <array>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>
#include <string_view>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargestProbability = 1 - 1.0 / 9007199254740992.0;  // 1 - 2^-53, the last number below 1

double normal_probability(double z) {
  return 0.5 * std::erfc(-z * 0.70710678118654752440);
}

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal(), std::clamp(probability, 1e-300, kLargestProbability));
}

// Kinds by name: one word is all that a further kind needs here.
constexpr std::array<std::string_view, 5> kCountKinds{"poisson", "bernoulli", "binomial", "negative-binomial",
                                                      "zero-inflated-poisson"};
constexpr std::array<std::string_view, 3> kClassKinds{"multinomial", "conditional-logit", "ordinal"};

template <std::size_t N>
bool listed(const std::array<std::string_view, N>& kinds, const MixtureModel& model) {
  return std::find(kinds.begin(), kinds.end(), enum_name(model.experts.front().spec().kind)) != kinds.end();
}

// Marginal distribution function of every response of Gaussian experts: n x m.
Matrix vector_distribution(const MixtureModel& model, const Data& data) {
  const Matrix weights = model.gate.log_weights(data.gate_inputs).array().exp();
  Matrix p = Matrix::Zero(data.rows(), data.response.cols());
  for (int k = 0; k < model.expert_count(); ++k) {
    const Expert& expert = model.experts[static_cast<std::size_t>(k)];
    const Matrix mean = expert.mean(data.expert_inputs, data.trials, data.offset);
    const Vector deviation = expert.covariance().diagonal().cwiseSqrt();
    for (Index j = 0; j < p.cols(); ++j)
      for (Index t = 0; t < p.rows(); ++t)
        p(t, j) += weights(t, k) * normal_probability((data.response(t, j) - mean(t, j)) / deviation(j));
  }
  if (model.has_noise)
    for (Index j = 0; j < p.cols(); ++j) {
      const double low = data.response.col(j).minCoeff(), range = data.response.col(j).maxCoeff() - low;
      p.col(j) = (1 - model.noise_weight) * p.col(j) +
                 model.noise_weight * ((data.response.col(j).array() - low) / range).matrix();
    }
  return p;
}

// P(class < y) and P(class <= y).
std::pair<Vector, Vector> class_distribution(const MixtureModel& model, const Data& data) {
  const Matrix probability = model.mean(data);
  Vector below(data.rows()), up_to(data.rows());
  for (Index t = 0; t < data.rows(); ++t) {
    const auto y = static_cast<Index>(data.response(t, 0));
    below(t) = probability.row(t).head(y).sum();
    up_to(t) = below(t) + probability(t, y);
  }
  return {below, up_to};
}

double noise_low(const MixtureModel& model, const Data& data) {
  return model.has_noise ? data.response.col(0).minCoeff() : 0.0;
}

}  // namespace

bool has_class_response(const MixtureModel& model) {
  return listed(kClassKinds, model);
}

bool has_discrete_response(const MixtureModel& model) {
  return listed(kCountKinds, model) || has_class_response(model);
}

Vector mixture_distribution(const MixtureModel& model, const Data& inputs, const ConstVectorRef& y, double low) {
  const Matrix weights = model.gate.log_weights(inputs.gate_inputs).array().exp();
  Vector p = Vector::Zero(y.size());
  for (int k = 0; k < model.expert_count(); ++k)
    p += weights.col(k).cwiseProduct(
        model.experts[static_cast<std::size_t>(k)].distribution(y, inputs.expert_inputs, inputs.trials, inputs.offset));
  if (model.has_noise) {
    const double range = std::exp(-model.noise_log_density);
    const Vector uniform = ((y.array() - low) / range).max(0.0).min(1.0);
    p = (1 - model.noise_weight) * p + model.noise_weight * uniform;
  }
  return p;
}

QuantileResiduals quantile_residuals(const MixtureModel& model, const Data& data, RandomStream& stream) {
  QuantileResiduals result;
  if (data.response.cols() > 1) {
    result.probability = vector_distribution(model, data);
  } else if (has_discrete_response(model)) {
    Vector below, up_to;
    if (has_class_response(model)) {
      std::tie(below, up_to) = class_distribution(model, data);
    } else {
      const Vector y = data.response.col(0);
      up_to = mixture_distribution(model, data, y);
      below = mixture_distribution(model, data, y.array() - 1);
    }
    result.probability.resize(data.rows(), 1);
    for (Index t = 0; t < data.rows(); ++t)
      result.probability(t, 0) = below(t) + stream.uniform() * (up_to(t) - below(t));
  } else {
    result.probability = mixture_distribution(model, data, data.response.col(0), noise_low(model, data));
    for (Index t = 0; t < data.event.size(); ++t) {  // censored: somewhere beyond the response, drawn
      double& p = result.probability(t, 0);
      if (data.event(t) == 0) p += stream.uniform() * (1 - p);
      if (data.event(t) < 0) p *= stream.uniform();
    }
  }
  result.probability = result.probability.array().max(0.0).min(1.0);
  result.residual = result.probability.unaryExpr(&normal_quantile);
  return result;
}

double kolmogorov_p(double distance, Index n) {
  // Stephens (1970): sqrt(n) + 0.12 + 0.11 / sqrt(n) makes the limit law accurate from n = 5 on.
  const double root = std::sqrt(static_cast<double>(n));
  const double t = (root + 0.12 + 0.11 / root) * distance;
  if (t < 0.2) return 1.0;  // 1 to double precision
  double sum = 0;
  for (int j = 1; j <= 100; ++j) {
    const double term = std::exp(-2.0 * j * j * t * t);
    sum += (j % 2 == 1 ? 2 : -2) * term;
    if (term < 1e-18) break;
  }
  return std::clamp(sum, 0.0, 1.0);
}

NormalitySummary normality(const ConstVectorRef& sample) {
  NormalitySummary summary;
  const Index n = sample.size();
  if (n == 0) return summary;
  const Vector centred = sample.array() - sample.mean();
  const double second = centred.array().square().mean();
  summary.mean = sample.mean();
  summary.deviation = n > 1 ? std::sqrt(second * static_cast<double>(n) / static_cast<double>(n - 1)) : kUnknown;
  summary.skewness = centred.array().cube().mean() / std::pow(second, 1.5);
  summary.excess_kurtosis = centred.array().square().square().mean() / (second * second) - 3;
  std::vector<double> sorted(sample.data(), sample.data() + n);
  std::sort(sorted.begin(), sorted.end());
  for (Index i = 0; i < n; ++i) {
    const double p = normal_probability(sorted[static_cast<std::size_t>(i)]);
    const double step = static_cast<double>(i) / static_cast<double>(n);
    summary.kolmogorov = std::max({summary.kolmogorov, p - step, step + 1 / static_cast<double>(n) - p});
  }
  summary.kolmogorov_p = kolmogorov_p(summary.kolmogorov, n);
  return summary;
}

std::vector<RootogramBar> rootogram(const MixtureModel& model, const Data& data, int most) {
  std::vector<RootogramBar> bars;
  if (!has_discrete_response(model) || has_class_response(model)) return bars;
  const double largest = data.response.col(0).maxCoeff();
  const int last = static_cast<int>(std::min<double>(largest, most - 1));
  const Vector w = data.weights.size() ? Vector(data.weights) : Vector::Ones(data.rows());
  Vector below = Vector::Zero(data.rows());
  for (int count = 0; count <= last; ++count) {
    RootogramBar bar{.count = count};
    const Vector up_to = mixture_distribution(model, data, Vector::Constant(data.rows(), count));
    bar.or_more = count == last && largest > last;
    bar.expected = bar.or_more ? w.dot((1 - below.array()).matrix()) : w.dot(up_to - below);
    for (Index t = 0; t < data.rows(); ++t) {
      const double y = data.response(t, 0);
      if (y == count || (bar.or_more && y > count)) bar.observed += w(t);
    }
    bars.push_back(bar);
    below = up_to;
  }
  return bars;
}

double dispersion(const MixtureModel& model, const Data& data) {
  if (data.response.cols() > 1 || has_class_response(model)) return kUnknown;
  // Where the spread is estimated the statistic says nothing but n / (n - df); of a censored row it would need the rest.
  const auto own_spread = [](const Expert& expert) {
    return expert.has_sigma() || expert.spec().kind == ExpertKind::network ||
           expert.spec().kind == ExpertKind::heteroscedastic;
  };
  if (std::all_of(model.experts.begin(), model.experts.end(), own_spread)) return kUnknown;
  if (data.event.size() > 0 && (data.event.array() != 1).any()) return kUnknown;
  const Matrix gate = model.gate.log_weights(data.gate_inputs).array().exp();
  Vector mean = Vector::Zero(data.rows()), second = mean;
  for (int k = 0; k < model.expert_count(); ++k) {
    const Expert& expert = model.experts[static_cast<std::size_t>(k)];
    const Vector mu = expert.mean(data.expert_inputs, data.trials, data.offset);
    mean += gate.col(k).cwiseProduct(mu);
    second += gate.col(k).cwiseProduct(
        Vector(expert.variance(data.expert_inputs, data.trials, data.offset) + mu.cwiseAbs2()));
  }
  if (model.has_noise) {
    const double low = data.response.col(0).minCoeff(), range = std::exp(-model.noise_log_density);
    const double centre = low + range / 2, eps = model.noise_weight;
    mean = ((1 - eps) * mean).array() + eps * centre;
    second = ((1 - eps) * second).array() + eps * (range * range / 12 + centre * centre);
  }
  const Vector variance = second - mean.cwiseAbs2();
  if (!variance.allFinite() || variance.minCoeff() <= 0) return kUnknown;
  const Vector w = data.weights.size() ? Vector(data.weights) : Vector::Ones(data.rows());
  const double free = w.sum() - model.degrees_of_freedom();
  const Vector pearson = (data.response.col(0) - mean).array().square() / variance.array();
  return free > 0 ? w.dot(pearson) / free : kUnknown;
}

}  // namespace clearway
