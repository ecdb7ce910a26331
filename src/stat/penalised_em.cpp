#include "penalised_em.hpp"

#include <algorithm>
#include <cmath>

#include "expert_updates.hpp"
#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kSweeps = 2000;       // of coordinate descent
constexpr double kSettled = 1e-12;  // change of the linear predictor, relative to the curvature, that ends it
constexpr int kHalvings = 30;
constexpr double kRounding = 1e-13;  // relative fall of an objective that is rounding
constexpr double kFirstJump = 4;

double soft(double value, double threshold) {
  if (value > threshold) return value - threshold;
  return value < -threshold ? value + threshold : 0.0;
}

bool is_linear(const Expert& expert) {
  return expert.spec().kind == ExpertKind::linear;
}

double slopes_penalty(const ConstVectorRef& slopes, double l1, double l2) {
  return l1 * slopes.lpNorm<1>() + 0.5 * l2 * slopes.squaredNorm();
}

/// d log f / d eta and its expected curvature per row.
void predictor_derivatives(const Expert& expert, const Data& data, Vector& gradient, Vector& curvature) {
  const Vector eta = linear_predictor(expert, data.expert_inputs, data.offset);
  gradient.resize(eta.size());
  curvature.resize(eta.size());
  const double extra = is_linear(expert) ? std::log(expert.sigma()) : 0.0;
  for (Index i = 0; i < eta.size(); ++i) {
    const double trials = data.trials.size() ? data.trials(i) : 1.0;
    const PointDerivatives at = point_derivatives(expert.spec(), data.response(i, 0), eta(i), &extra, trials);
    gradient(i) = at.eta;
    curvature(i) = std::max(at.information, 1e-10);
  }
}

double slope_violation(double score, double slope, double l1, double l2) {
  if (slope == 0) return std::max(0.0, std::abs(score) - l1);
  return std::abs(score - l2 * slope - l1 * (slope > 0 ? 1.0 : -1.0));
}

}  // namespace

void proximal_newton(const Matrix& x, const Vector& v, const Vector& g, double l1, double l2,
                     const std::vector<bool>& free, double& intercept, Vector& slopes) {
  const double mass = std::max(v.sum(), 1e-300);
  const Vector centre = x.transpose() * v / mass;
  const Matrix moved = x.rowwise() - centre.transpose();
  const Matrix gram = moved.transpose() * (v.asDiagonal() * moved);
  // c_j - sum_l G_jl (s_l - s0_l) for the present s: kept up to date.
  Vector rest = moved.transpose() * g;
  const Vector before = slopes;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double largest = 0;
    for (Index j = 0; j < slopes.size(); ++j) {
      double next = 0;
      if (free.empty() || free[static_cast<std::size_t>(j)]) {
        const double curvature = gram(j, j) + l2;
        if (!(curvature > 1e-300)) continue;
        next = soft(rest(j) + gram(j, j) * slopes(j), l1) / curvature;
      }
      const double change = next - slopes(j);
      if (change == 0) continue;
      slopes(j) = next;
      rest -= change * gram.col(j);
      largest = std::max(largest, change * change * gram(j, j));
    }
    if (largest <= kSettled * kSettled * mass) break;
  }
  intercept += g.sum() / mass - centre.dot(slopes - before);
}

PenalisedEm::PenalisedEm(const Data& standard, const MixtureModel& prototype, const PenaltyMass& mass,
                         const SlopeSupport& support, double sigma_floor)
    : data_(standard),
      mass_(mass),
      support_(support),
      sigma_floor_(sigma_floor),
      total_weight_(standard.weights.size() ? standard.weights.sum() : static_cast<double>(standard.rows())),
      map_(prototype, EngineSettings{.sigma_floor = sigma_floor}) {}

double PenalisedEm::penalty(const MixtureModel& model) const {
  double sum = 0;
  for (const Expert& expert : model.experts)
    sum += slopes_penalty(expert.parameters().segment(1, expert.inputs()), mass_.expert_l1, mass_.expert_l2);
  for (int k = 0; k < model.gate.experts(); ++k)
    sum += slopes_penalty(model.gate.block(k).tail(model.gate.inputs()), mass_.gate_l1, mass_.gate_l2);
  return sum;
}

double PenalisedEm::objective(const MixtureModel& model) const {
  return model.log_likelihood(data_) - penalty(model);
}

// Case weight times responsibility; `value` gets the log-likelihood.
Matrix PenalisedEm::responsibilities(const MixtureModel& model, double& value) const {
  Matrix r = model.joint_log_density(data_);
  const Vector top = r.rowwise().maxCoeff();
  r = (r.colwise() - top).array().exp();
  const Vector sum = r.rowwise().sum();
  const Vector row = top.array() + sum.array().log();
  const Vector w = data_.weights.size() ? data_.weights : Vector::Ones(row.size());
  value = w.dot(row);
  return w.cwiseQuotient(sum).asDiagonal() * r;
}

double PenalisedEm::step(MixtureModel& model) const {
  double value = 0;
  const Matrix r = responsibilities(model, value);
  value -= penalty(model);
  for (std::size_t k = 0; k < model.experts.size(); ++k)
    update_expert(model.experts[k], k, r.col(static_cast<Index>(k)));
  update_gate(model, r);
  return value;
}

void PenalisedEm::update_expert(Expert& expert, std::size_t k, const Vector& r) const {
  const Index d = expert.inputs();
  if (!(r.sum() > 0)) return;
  const std::vector<bool>& free = support_.experts.empty() ? std::vector<bool>{} : support_.experts[k];
  Vector gradient, curvature;
  predictor_derivatives(expert, data_, gradient, curvature);
  const Vector old = expert.parameters();
  double intercept = old(0);
  Vector slopes = old.segment(1, d);
  proximal_newton(data_.expert_inputs, r.cwiseProduct(curvature), r.cwiseProduct(gradient), mass_.expert_l1,
                  mass_.expert_l2, free, intercept, slopes);
  if (is_linear(expert)) {  // the quadratic is exact; then the noise level at the new residuals
    expert.parameters()(0) = intercept;
    expert.parameters().segment(1, d) = slopes;
    const Vector residual = data_.response.col(0) - linear_predictor(expert, data_.expert_inputs, data_.offset);
    expert.set_sigma(std::max(sigma_floor_, std::sqrt(r.dot(residual.cwiseAbs2()) / r.sum())));
    return;
  }
  const auto value = [&] {
    return r.dot(expert.log_density(data_)) -
           slopes_penalty(expert.parameters().segment(1, d), mass_.expert_l1, mass_.expert_l2);
  };
  const double before = value();
  double length = 1;
  for (int halving = 0; halving < kHalvings; ++halving, length /= 2) {
    expert.parameters()(0) = old(0) + length * (intercept - old(0));
    expert.parameters().segment(1, d) = old.segment(1, d) + length * (slopes - old.segment(1, d));
    if (value() >= before - kRounding * std::abs(before)) return;
  }
  expert.parameters() = old;
}

// One proximal Newton step per row of the gate, the last row is 0.
void PenalisedEm::update_gate(MixtureModel& model, const Matrix& r) const {
  Gate& gate = model.gate;
  const Index q = gate.inputs();
  const Vector mass = r.rowwise().sum();
  const auto value = [&] {
    double sum = r.cwiseProduct(gate.log_weights(data_.gate_inputs)).sum();
    for (int k = 0; k + 1 < gate.experts(); ++k)
      sum -= slopes_penalty(gate.block(k).tail(q), mass_.gate_l1, mass_.gate_l2);
    return sum;
  };
  double before = value();
  for (int k = 0; k + 1 < gate.experts(); ++k) {
    const std::vector<bool>& free =
        support_.gate.empty() ? std::vector<bool>{} : support_.gate[static_cast<std::size_t>(k)];
    const Vector p = gate.log_weights(data_.gate_inputs).col(k).array().exp();
    const Vector curvature = (mass.array() * p.array() * (1 - p.array())).max(1e-10 * mass.array());
    const Vector gradient = r.col(k) - mass.cwiseProduct(p);
    const Vector old = gate.block(k);
    double intercept = old(0);
    Vector slopes = old.tail(q);
    proximal_newton(data_.gate_inputs, curvature, gradient, mass_.gate_l1, mass_.gate_l2, free, intercept, slopes);
    Vector target(1 + q);
    target << intercept, slopes;
    double length = 1;
    bool moved = false;
    for (int halving = 0; halving < kHalvings && !moved; ++halving, length /= 2) {
      gate.block(k) = old + length * (target - old);
      const double after = value();
      moved = after >= before - kRounding * std::abs(before);
      if (moved) before = after;
    }
    if (!moved) gate.block(k) = old;
  }
}

double PenalisedEm::violation(const MixtureModel& model) const {
  double value = 0;
  const Matrix r = responsibilities(model, value);
  double largest = 0;
  Vector gradient, curvature;
  for (std::size_t k = 0; k < model.experts.size(); ++k) {
    const Expert& expert = model.experts[k];
    const auto column = static_cast<Index>(k);
    predictor_derivatives(expert, data_, gradient, curvature);
    const Vector g = r.col(column).cwiseProduct(gradient);
    largest = std::max(largest, std::abs(g.sum()));
    const Vector score = data_.expert_inputs.transpose() * g;
    for (Index j = 0; j < score.size(); ++j)
      if (support_.expert(k, j))
        largest =
            std::max(largest, slope_violation(score(j), expert.parameters()(1 + j), mass_.expert_l1, mass_.expert_l2));
    if (is_linear(expert) && expert.sigma() > sigma_floor_ * (1 + 1e-9)) {
      const Vector residual = data_.response.col(0) - linear_predictor(expert, data_.expert_inputs, data_.offset);
      const double variance = expert.sigma() * expert.sigma();
      largest = std::max(largest, std::abs(r.col(column).dot(residual.cwiseAbs2()) / variance - r.col(column).sum()));
    }
  }
  const Matrix p = model.gate.log_weights(data_.gate_inputs).array().exp();
  const Vector mass = r.rowwise().sum();
  for (int k = 0; k + 1 < model.gate.experts(); ++k) {
    const Vector g = r.col(k) - mass.cwiseProduct(p.col(k));
    largest = std::max(largest, std::abs(g.sum()));
    const Vector score = data_.gate_inputs.transpose() * g;
    for (Index j = 0; j < score.size(); ++j)
      if (support_.gate_row(static_cast<std::size_t>(k), j))
        largest =
            std::max(largest, slope_violation(score(j), model.gate.block(k)(1 + j), mass_.gate_l1, mass_.gate_l2));
  }
  return largest / total_weight_;
}

int PenalisedEm::climb(MixtureModel& model, int max_iterations, double tolerance, std::vector<double>& history) const {
  double longest = kFirstJump;
  int iterations = 0;
  while (iterations < max_iterations) {
    const Vector start = map_.pack(model);
    history.push_back(step(model));
    const Vector first = map_.pack(model);
    const double after_first = step(model);
    history.push_back(after_first);
    iterations += 2;
    const Vector second = map_.pack(model);
    if (violation(model) < tolerance) break;
    // Squared extrapolation (Varadhan and Roland 2008); slopes that stay at zero stay there.
    const Vector r = first - start, v = second - first - r;
    if (!(r.norm() > 0)) break;
    if (!(v.norm() > 0)) continue;
    const double factor = std::clamp(r.norm() / v.norm(), 1.0, longest);
    if (factor <= 1) continue;
    const MixtureModel fallback = model;
    map_.unpack(start + 2 * factor * r + factor * factor * v, model);
    const double jumped = step(model);
    ++iterations;
    if (std::isfinite(jumped) && jumped >= after_first) {
      history.push_back(jumped);
      if (factor == longest) longest = std::min(longest * 4, 1e6);
    } else {
      model = fallback;
      longest = std::max(kFirstJump, longest / 2);
    }
  }
  return iterations;
}

}  // namespace clearway::detail
