#include "clearway/stat/predictive_scores.hpp"

#include <algorithm>
#include <array>
#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "clearway/base/errors.hpp"
#include "clearway/stat/simulate.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr double kSqrtTwo = 1.4142135623730951;
constexpr double kInverseSqrtTwoPi = 0.3989422804014327;
constexpr double kTail = 1e-12;         // what is left of a sum over counts when it ends
constexpr int kMostCounts = 100000000;  // a sum over counts that long means that something else is wrong

// E|N(m, s^2)| = 2 s phi(m / s) + m (2 Phi(m / s) - 1)
double absolute_normal(double m, double s) {
  const double t = m / s;
  return 2 * s * kInverseSqrtTwoPi * std::exp(-0.5 * t * t) + m * std::erf(t / kSqrtTwo);
}

bool is_gaussian(const MixtureModel& model) {
  return std::all_of(model.experts.begin(), model.experts.end(), [](const Expert& expert) {
    switch (expert.spec().kind) {
      case ExpertKind::linear:
      case ExpertKind::sigmoid:
      case ExpertKind::tanh:
      case ExpertKind::relu:
      case ExpertKind::leaky_relu:
      case ExpertKind::polynomial:
      case ExpertKind::constant:
      case ExpertKind::network:
        return true;
      default:
        return false;
    }
  });
}

Matrix gate_weights(const MixtureModel& model, const Data& data) {
  return model.gate.log_weights(data.gate_inputs).array().exp();
}

Matrix expert_means(const MixtureModel& model, const Data& data) {
  Matrix means(data.rows(), model.expert_count());
  for (int j = 0; j < model.expert_count(); ++j)
    means.col(j) = model.experts[static_cast<std::size_t>(j)].mean(data.expert_inputs, data.trials, data.offset);
  return means;
}

// Width of each expert's distribution per row: its standard deviation, or its scale where there is none.
Matrix expert_scales(const MixtureModel& model, const Data& data) {
  Matrix scales(data.rows(), model.expert_count());
  for (int j = 0; j < model.expert_count(); ++j) {
    const Expert& expert = model.experts[static_cast<std::size_t>(j)];
    scales.col(j) = expert.variance(data.expert_inputs, data.trials, data.offset).cwiseSqrt();
    for (Index i = 0; i < scales.rows(); ++i)
      if (!std::isfinite(scales(i, j))) scales(i, j) = expert.sigma();
  }
  return scales;
}

// Mixture distribution function at z, one z per row.
Vector mixture_distribution(const MixtureModel& model, const Data& data, const Matrix& weights, const Vector& z) {
  Vector p = Vector::Zero(z.size());
  for (int j = 0; j < model.expert_count(); ++j)
    p += weights.col(j).cwiseProduct(
        model.experts[static_cast<std::size_t>(j)].distribution(z, data.expert_inputs, data.trials, data.offset));
  return p;
}

Vector gaussian_crps(const MixtureModel& model, const Data& data, const Matrix& weights) {
  const Matrix means = expert_means(model, data);
  const Matrix scales = expert_scales(model, data);
  Vector out(data.rows());
  for (Index i = 0; i < data.rows(); ++i)
    out(i) = gaussian_mixture_crps(data.response(i, 0), weights.row(i).transpose(), means.row(i).transpose(),
                                   scales.row(i).transpose());
  return out;
}

// Counts: F is a step function, so the integral is a sum over whole numbers z of (F(z) - 1{y <= z})^2.
Vector count_crps(const MixtureModel& model, const Data& data, const Matrix& weights) {
  Vector out = Vector::Zero(data.rows());
  for (int z = 0; z < kMostCounts; ++z) {
    const Vector p = mixture_distribution(model, data, weights, Vector::Constant(data.rows(), z));
    double largest = 0;
    for (Index i = 0; i < data.rows(); ++i) {
      const double difference = data.response(i, 0) <= z ? 1 - p(i) : p(i);
      out(i) += difference * difference;
      largest = std::max(largest, data.response(i, 0) <= z ? 1 - p(i) : 1.0);
    }
    if (largest < kTail) break;
  }
  return out;
}

// A real response of any distribution. The integrand jumps at y and bends near every expert, so panels end there; the
// tails are mapped by z = end -+ s u / (1 - u), under which even the squared tail of a Cauchy distribution is smooth.
class CrpsQuadrature {
 public:
  CrpsQuadrature(const MixtureModel& model, const Data& data, const Matrix& weights)
      : model_(model), data_(data), weights_(weights), y_(data.response.col(0)) {
    const Matrix means = expert_means(model, data);
    const Matrix scales = expert_scales(model, data);
    static constexpr std::array<double, 7> kFlanks{-8, -3, -1, 0, 1, 3, 8};
    breaks_.resize(data.rows(), 1 + means.cols() * static_cast<Index>(kFlanks.size()));
    breaks_.col(0) = y_;
    Index at = 1;
    for (Index j = 0; j < means.cols(); ++j)
      for (const double flank : kFlanks) breaks_.col(at++) = means.col(j) + flank * scales.col(j);
    for (Index i = 0; i < breaks_.rows(); ++i) {
      Vector row = breaks_.row(i).transpose();
      std::sort(row.begin(), row.end());
      breaks_.row(i) = row.transpose();
    }
    widest_ = scales.rowwise().maxCoeff();
  }

  Vector integral() const {
    Vector total = Vector::Zero(y_.size());
    const Index last = breaks_.cols() - 1;
    for (Index b = 0; b < last; ++b) {
      const Vector middle = 0.5 * (breaks_.col(b) + breaks_.col(b + 1));
      const Vector half = 0.5 * (breaks_.col(b + 1) - breaks_.col(b));
      if ((half.array() == 0).all()) continue;
      nodes([&](double u, double weight) { total += weight * half.cwiseProduct(integrand(middle + u * half)); });
    }
    nodes([&](double u, double weight) {  // u from (-1, 1) to v in (0, 1), weight halved
      const double v = 0.5 * (u + 1);
      const double stretch = 1 / ((1 - v) * (1 - v));
      const Vector distance = v / (1 - v) * widest_;
      total += 0.5 * weight * stretch * widest_.cwiseProduct(integrand(breaks_.col(0) - distance));
      total += 0.5 * weight * stretch * widest_.cwiseProduct(integrand(breaks_.col(last) + distance));
    });
    return total;
  }

 private:
  Vector integrand(const Vector& z) const {
    const Vector p = mixture_distribution(model_, data_, weights_, z);
    return (z.array() >= y_.array()).select(1 - p.array(), p.array()).square();
  }

  // Calls f(node, weight) for a 15-point Gauss-Legendre rule on (-1, 1).
  template <class F>
  static void nodes(F&& f) {
    using Rule = boost::math::quadrature::gauss<double, 15>;
    for (std::size_t i = 0; i < Rule::abscissa().size(); ++i) {
      f(Rule::abscissa()[i], Rule::weights()[i]);
      if (Rule::abscissa()[i] != 0) f(-Rule::abscissa()[i], Rule::weights()[i]);
    }
  }

  const MixtureModel& model_;
  const Data& data_;
  const Matrix& weights_;
  Vector y_;
  Matrix breaks_;
  Vector widest_;
};

Vector log_sum_of_rows(const Matrix& joint) {
  const Vector top = joint.rowwise().maxCoeff();
  return top.array() + (joint.colwise() - top).array().exp().rowwise().sum().log();
}

// log p of every row. Repeated measures are predicted together: each row has its share of the group's log p.
Vector row_log_scores(const MixtureModel& model, const Data& data) {
  if (data.groups.empty()) return log_sum_of_rows(model.joint_log_density(data));
  const Matrix gate = model.gate.log_weights(data.gate_inputs);
  std::map<int, std::vector<Index>> members;
  for (Index i = 0; i < data.rows(); ++i) members[data.groups[static_cast<std::size_t>(i)]].push_back(i);
  Matrix density(data.rows(), model.expert_count());
  for (int j = 0; j < model.expert_count(); ++j)
    density.col(j) = model.experts[static_cast<std::size_t>(j)].log_density(data);
  Vector out(data.rows());
  for (const auto& [group, rows] : members) {
    Matrix joint = gate.row(rows.front());
    for (const Index row : rows) joint += density.row(row);
    const double value = log_sum_of_rows(joint)(0) / static_cast<double>(rows.size());
    for (const Index row : rows) out(row) = value;
  }
  return out;
}

Vector brier_score(const MixtureModel& model, const Data& data) {
  const Matrix p = model.mean(data);
  Vector out = p.rowwise().squaredNorm();
  for (Index i = 0; i < data.rows(); ++i) out(i) += 1 - 2 * p(i, static_cast<Index>(data.response(i, 0)));
  return out;
}

Vector energy_score(const MixtureModel& model, const Data& data, std::int64_t seed, int draws) {
  MixtureModel without_noise = model;
  without_noise.has_noise = false;
  without_noise.noise_weight = 0;
  RandomStream stream(static_cast<std::uint64_t>(seed));
  Vector out = Vector::Zero(data.rows());
  Matrix previous = simulate(without_noise, data, stream).response;
  for (int draw = 0; draw < draws; ++draw) {
    const Matrix next = simulate(without_noise, data, stream).response;
    out += (next - data.response).rowwise().norm() - 0.5 * (next - previous).rowwise().norm();
    previous = next;
  }
  return out / draws;
}

}  // namespace

bool is_discrete(ExpertKind kind) {
  return is_count(kind) || has_classes(kind);
}

double gaussian_mixture_crps(double y, const ConstVectorRef& weights, const ConstVectorRef& means,
                             const ConstVectorRef& deviations) {
  double to_y = 0, within = 0;
  for (Index i = 0; i < weights.size(); ++i) {
    to_y += weights(i) * absolute_normal(y - means(i), deviations(i));
    within += 0.5 * weights(i) * weights(i) * absolute_normal(0, kSqrtTwo * deviations(i));
    for (Index j = i + 1; j < weights.size(); ++j)
      within +=
          weights(i) * weights(j) * absolute_normal(means(i) - means(j), std::hypot(deviations(i), deviations(j)));
  }
  return to_y - within;
}

std::string crps_name(const MixtureModel& model) {
  if (has_classes(model.experts.front().spec().kind)) return "Brier score";
  return model.experts.front().responses() > 1 ? "energy score" : "CRPS";
}

PredictiveScores predictive_scores(const MixtureModel& model, const Data& data, std::int64_t seed, int draws) {
  PredictiveScores scores;
  scores.log_score = row_log_scores(model, data);
  const ExpertKind kind = model.experts.front().spec().kind;
  if (has_classes(kind)) {
    scores.squared_error = Vector::Constant(data.rows(), std::numeric_limits<double>::quiet_NaN());
    scores.crps = brier_score(model, data);
    return scores;
  }
  scores.squared_error = (data.response - model.mean(data)).rowwise().squaredNorm();
  if (model.experts.front().responses() > 1) {
    scores.crps = energy_score(model, data, seed, draws);
    return scores;
  }
  const Matrix weights = gate_weights(model, data);
  if (is_gaussian(model))
    scores.crps = gaussian_crps(model, data, weights);
  else if (std::all_of(model.experts.begin(), model.experts.end(),
                       [](const Expert& expert) { return is_discrete(expert.spec().kind); }))
    scores.crps = count_crps(model, data, weights);
  else
    scores.crps = CrpsQuadrature(model, data, weights).integral();
  return scores;
}

}  // namespace clearway
