#include "clearway/stat/mixture_model.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

using Eigen::Index;

Vector logsumexp_rows(const Matrix& a) {
  const Vector top = a.rowwise().maxCoeff();
  Vector sum = Vector::Zero(a.rows());
  for (Index j = 0; j < a.cols(); ++j) sum.array() += (a.col(j) - top).array().exp();
  return top + sum.array().log().matrix();
}

}  // namespace

int MixtureModel::degrees_of_freedom() const {
  int df = gate.degrees_of_freedom() + (has_noise ? 1 : 0);
  bool shared = false;
  for (const Expert& expert : experts) {
    df += expert.degrees_of_freedom();
    shared = shared || (expert.has_sigma() && expert.spec().variance == VarianceKind::shared);
  }
  return df + (shared ? 1 : 0);
}

Matrix MixtureModel::joint_log_density(const Data& data) const {
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

double MixtureModel::log_likelihood(const Data& data) const {
  const Vector row = logsumexp_rows(joint_log_density(data));
  return data.weights.size() ? row.dot(data.weights) : row.sum();
}

Matrix MixtureModel::responsibilities(const Data& data) const {
  Matrix joint = joint_log_density(data);
  joint.colwise() -= logsumexp_rows(joint);
  return joint.array().exp();
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
  return result;
}

}  // namespace clearway
