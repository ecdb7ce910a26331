#include "clearway/stat/mixture_model.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "clearway/base/errors.hpp"
#include "parsimonious_covariance.hpp"
#include "regression_function.hpp"

namespace clearway {
namespace {

using Eigen::Index;
constexpr double kLogTwoPi = 1.83787706640934548356;

Vector logsumexp_rows(const Matrix& a) {
  Vector top = a.rowwise().maxCoeff();
  top = top.array().isFinite().select(top, 0.0);
  Vector sum = Vector::Zero(a.rows());
  for (Index j = 0; j < a.cols(); ++j) sum.array() += (a.col(j) - top).array().exp();
  return top + sum.array().log().matrix();
}

// What has one expert: a row, or a group of rows.
struct Units {
  Matrix joint;    // units x (k + noise), log of gate times densities; -infinity where a label excludes
  Vector weights;  // units
  std::vector<Index> unit_of_row;
};

Units units_of(const MixtureModel& model, const Data& data) {
  const Index n = data.rows();
  const int k = model.expert_count();
  Units units;
  units.joint = model.joint_log_density(data);
  units.weights = data.weights.size() ? data.weights : Vector::Ones(n);
  if (!data.labels.empty())
    for (Index i = 0; i < n; ++i) {
      const int label = data.labels[static_cast<std::size_t>(i)];
      if (label >= k) user_error("row {}: label {} but there are {} experts", i + 1, label, k);
      for (Index j = 0; label >= 0 && j < units.joint.cols(); ++j)
        if (j != label) units.joint(i, j) = -std::numeric_limits<double>::infinity();
    }
  units.unit_of_row.resize(static_cast<std::size_t>(n));
  if (!data.groups.empty() && model.has_noise) user_error("a noise component does not go with repeated measures");
  if (data.groups.empty()) {
    std::iota(units.unit_of_row.begin(), units.unit_of_row.end(), Index{0});
    return units;
  }
  const Matrix log_weights = model.gate.log_weights(data.gate_inputs);
  std::unordered_map<int, Index> unit_of_group;
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto [found, fresh] = unit_of_group.try_emplace(data.groups[at], static_cast<Index>(unit_of_group.size()));
    const Index unit = found->second;
    units.unit_of_row[at] = unit;
    if (fresh) {  // units are numbered by first row, so row `unit` is no longer needed
      units.joint.row(unit) = units.joint.row(i).eval();
      units.weights(unit) = units.weights(i);
    } else {  // the gate speaks once per group
      units.joint.row(unit).head(k) += units.joint.row(i).head(k) - log_weights.row(i);
    }
  }
  const auto count = static_cast<Index>(unit_of_group.size());
  units.joint.conservativeResize(count, Eigen::NoChange);
  units.weights.conservativeResize(count);
  return units;
}

}  // namespace

bool Constraints::is_shared(int parameter) const {
  return std::find(shared.begin(), shared.end(), parameter) != shared.end();
}

bool Constraints::symmetric(int experts) const {
  return std::all_of(fixed.begin(), fixed.end(), [&](const FixedParameter& one) {
    if (one.in_gate && one.value != 0) return false;
    const auto alike = std::count_if(fixed.begin(), fixed.end(), [&](const FixedParameter& other) {
      return other.in_gate == one.in_gate && other.parameter == one.parameter && other.value == one.value;
    });
    return alike >= (one.in_gate ? experts - 1 : experts);
  });
}

int MixtureModel::degrees_of_freedom() const {
  if (form == ModelForm::regression) {
    const int m = experts.front().responses();
    const bool full = !is_diagonal(experts.front().spec().covariance);
    int df = gate.degrees_of_freedom() + (full ? m * (m + 1) / 2 : m);
    for (const Expert& expert : experts) df += static_cast<int>(detail::mean_parameter_count(expert));
    return df;
  }
  int df = gate.degrees_of_freedom() + (has_noise ? 1 : 0);
  for (const FixedParameter& fixed : constraints.fixed)
    if (!fixed.in_gate || !gate.pinned(static_cast<Index>(fixed.expert) * gate.block_size() + fixed.parameter)) --df;
  df -= static_cast<int>(constraints.shared.size()) * (expert_count() - 1);
  bool shared = false;
  for (const Expert& expert : experts) {
    df += expert.degrees_of_freedom();
    shared = shared || (expert.has_sigma() && expert.spec().variance == VarianceKind::shared);
  }
  const Expert& first = experts.front();
  if (first.responses() > 1 && is_parsimonious(first.spec().covariance)) {
    const int m = first.responses(), k = expert_count();
    const int own = is_diagonal(first.spec().covariance) ? m : m * (m + 1) / 2;
    df += detail::covariance_parameters(first.spec().covariance, k, m) - k * own;
  }
  return df + (shared ? 1 : 0);
}

Matrix MixtureModel::joint_log_density(const Data& data) const {
  if (form == ModelForm::regression)
    user_error("a regression function (method least-squares) has no density per expert: no row belongs to one");
  const int k = expert_count();
  Matrix joint(data.rows(), k + (has_noise ? 1 : 0));
  joint.leftCols(k) = gate.log_weights(data.gate_inputs);
  for (int j = 0; j < k; ++j) joint.col(j) += experts[static_cast<std::size_t>(j)].log_density(data);
  if (has_noise) {
    joint.leftCols(k).array() += std::log1p(-noise_weight);
    joint.col(k).setConstant(std::log(noise_weight) + noise_log_density);
  }
  return joint;
}

Vector MixtureModel::log_density(const Data& data) const {
  if (form == ModelForm::mixture) return logsumexp_rows(joint_log_density(data));
  const Eigen::LLT<Matrix> factor(experts.front().covariance());
  const Matrix lower = factor.matrixL();
  const Matrix white = lower.triangularView<Eigen::Lower>().solve((data.response - mean(data)).transpose());
  const double constant = -0.5 * kLogTwoPi * static_cast<double>(lower.rows()) - lower.diagonal().array().log().sum();
  return (constant - 0.5 * white.colwise().squaredNorm().transpose().array()).matrix();
}

double MixtureModel::log_likelihood(const Data& data) const {
  if (form == ModelForm::regression) {
    const Vector row = log_density(data);
    return data.weights.size() ? row.dot(data.weights) : row.sum();
  }
  const Units units = units_of(*this, data);
  return logsumexp_rows(units.joint).dot(units.weights);
}

Matrix MixtureModel::responsibilities(const Data& data) const {
  if (form == ModelForm::regression) return gate.log_weights(data.gate_inputs).array().exp();
  Units units = units_of(*this, data);
  units.joint.colwise() -= logsumexp_rows(units.joint);
  units.joint = units.joint.array().exp().eval();
  if (data.groups.empty()) return std::move(units.joint);
  Matrix rows(data.rows(), units.joint.cols());
  for (Index i = 0; i < rows.rows(); ++i) rows.row(i) = units.joint.row(units.unit_of_row[static_cast<std::size_t>(i)]);
  return rows;
}

Matrix MixtureModel::mean(const Data& inputs) const {
  const Matrix weights = gate.log_weights(inputs.gate_inputs).array().exp();
  Matrix total;
  for (int j = 0; j < expert_count(); ++j) {
    const Matrix part = experts[static_cast<std::size_t>(j)].mean(inputs.expert_inputs, inputs.trials, inputs.offset);
    if (j == 0) total = Matrix::Zero(part.rows(), part.cols());
    total += weights.col(j).asDiagonal() * part;
  }
  return total;
}

Vector MixtureModel::quantile(const Data& inputs, double probability) const {
  if (!(probability > 0 && probability < 1)) user_error("a quantile needs 0 < probability < 1, not {}", probability);
  if (form == ModelForm::regression) {
    if (experts.front().responses() > 1) user_error("a quantile needs one response");
    const double z = -1.4142135623730950488 * boost::math::erfc_inv(2 * probability);
    return mean(inputs).col(0).array() + z * experts.front().sigma();
  }
  const Matrix weights = gate.log_weights(inputs.gate_inputs).array().exp();
  const Index n = weights.rows();
  Vector low = Vector::Constant(n, std::numeric_limits<double>::infinity());
  Vector high = -low;
  Eigen::Array<bool, Eigen::Dynamic, 1> impossible = Eigen::Array<bool, Eigen::Dynamic, 1>::Constant(n, false);
  const auto all = [&](auto holds) {
    return std::all_of(experts.begin(), experts.end(), [&](const Expert& e) { return holds(e.spec().kind); });
  };
  const bool counts = all([](ExpertKind kind) { return is_count(kind); });
  const bool positive = all([](ExpertKind kind) { return response_kind(kind) != ResponseKind::real; });
  for (const Expert& expert : experts) {  // a bracket that holds every expert's quantile
    const Vector mu = expert.mean(inputs.expert_inputs, inputs.trials, inputs.offset);
    Vector spread = expert.variance(inputs.expert_inputs, inputs.trials, inputs.offset).cwiseSqrt();
    if (expert.spec().kind == ExpertKind::student_t) spread.setConstant(expert.sigma());
    spread = spread.array().isFinite().select(spread, 1.0);  // the bracket is widened below where it must be
    impossible = impossible || mu.array().isNaN();
    low = low.cwiseMin(mu - 10 * spread);
    high = high.cwiseMax(mu + 10 * spread);
  }
  if (positive) low.setConstant(counts ? -1.0 : 0.0);
  const auto cdf = [&](const Vector& y) {
    Vector p = Vector::Zero(n);
    for (int j = 0; j < expert_count(); ++j)
      p += weights.col(j).cwiseProduct(
          experts[static_cast<std::size_t>(j)].distribution(y, inputs.expert_inputs, inputs.trials, inputs.offset));
    return p;
  };
  for (int side = 0; side < 2; ++side) {  // widen until the bracket holds the quantile
    for (int round = 0; round < 200; ++round) {
      const Vector p = cdf(side == 0 ? low : high);
      const Vector width = (high - low).array() + 1e-12;
      bool done = true;
      for (Index i = 0; i < n; ++i) {
        if (side == 0 && !positive && p(i) > probability) {
          low(i) -= width(i);
          done = false;
        } else if (side == 1 && p(i) < probability) {
          high(i) += width(i) + 1;
          done = false;
        }
      }
      if (done) break;
    }
  }
  if (counts) {  // smallest whole number with P(Y <= y) >= probability: low fails, high holds
    low = low.array().floor();
    high = high.array().ceil();
    while (((high - low).array() > 1).any()) {
      const Vector middle = ((low + high) / 2).array().floor();
      const Vector p = cdf(middle);
      for (Index i = 0; i < n; ++i) (p(i) >= probability ? high(i) : low(i)) = middle(i);
    }
    return high;
  }
  for (int round = 0; round < 200; ++round) {
    const Vector middle = 0.5 * (low + high);
    const Vector p = cdf(middle);
    bool done = true;
    for (Index i = 0; i < n; ++i) {
      (p(i) >= probability ? high(i) : low(i)) = middle(i);
      done = done && high(i) - low(i) <= 1e-12 * std::max(1.0, std::abs(middle(i)));
    }
    if (done) break;
  }
  return impossible.select(std::numeric_limits<double>::quiet_NaN(), 0.5 * (low + high));
}

std::vector<int> MixtureModel::most_likely_expert(const Data& inputs) const {
  const Matrix logw = gate.log_weights(inputs.gate_inputs);
  std::vector<int> best(static_cast<std::size_t>(logw.rows()));
  for (Index i = 0; i < logw.rows(); ++i) {
    Index j = 0;
    logw.row(i).maxCoeff(&j);
    best[static_cast<std::size_t>(i)] = static_cast<int>(j);
  }
  return best;
}

std::vector<int> MixtureModel::order_by_share(const Data& data) const {
  const Matrix weights = gate.log_weights(data.gate_inputs).array().exp();
  Vector share =
      data.weights.size() ? Vector(weights.transpose() * data.weights) : Vector(weights.colwise().sum().transpose());
  std::vector<int> order(experts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return share(a) > share(b); });
  return order;
}

MixtureModel MixtureModel::permuted(const std::vector<int>& order) const {
  MixtureModel result = *this;
  result.gate = gate.permuted(order);
  for (std::size_t j = 0; j < experts.size(); ++j)
    result.experts[j] = experts.at(static_cast<std::size_t>(order.at(j)));
  for (FixedParameter& fixed : result.constraints.fixed)
    fixed.expert = static_cast<int>(std::find(order.begin(), order.end(), fixed.expert) - order.begin());
  return result;
}

}  // namespace clearway
