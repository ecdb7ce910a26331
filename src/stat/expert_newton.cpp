// M-steps of the kinds without a closed form: Newton's method on all parameters of one expert.
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "expert_updates.hpp"
#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kSmallestCurvature = 1e-8;  // relative to the largest, after scaling to unit diagonal
constexpr int kHalvings = 20;
constexpr double kSmallestGain = 1e-10;  // per unit of weight: Newton has arrived

struct Bounds {
  Vector lower, upper;
};

Bounds bounds_of(const Expert& expert, double sigma_floor) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Index size = expert.parameters().size();
  Bounds bounds{Vector::Constant(size, -kInfinity), Vector::Constant(size, kInfinity)};
  const auto extra = extra_parameters(expert.spec().kind);
  const Index first = size - static_cast<Index>(extra.size());
  for (std::size_t i = 0; i < extra.size(); ++i) {
    bounds.lower(first + static_cast<Index>(i)) = extra[i].is_scale ? std::log(sigma_floor) : extra[i].lower;
    bounds.upper(first + static_cast<Index>(i)) = extra[i].upper;
  }
  return bounds;
}

// Whether any row that belongs to a heteroscedastic expert would have a noise level below the floor.
bool below_floor(const Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor) {
  if (expert.spec().kind != ExpertKind::heteroscedastic) return false;
  constexpr double kBelongs = 1e-3;
  const double floor = std::log(sigma_floor);
  Index at = 0;
  for (const Data& block : blocks) {
    const Vector s = log_sigma_predictor(expert, block.expert_inputs);
    for (Index i = 0; i < s.size(); ++i)
      if (r(at + i) > kBelongs && s(i) < floor) return true;
    at += block.rows();
  }
  return false;
}

// |information|^-1 gradient: eigenvalues of the scaled information by their absolute values, so that the step goes uphill
// whatever the curvature.
Vector uphill_step(const Matrix& information, const Vector& gradient) {
  const Vector scale =
      information.diagonal().cwiseAbs().cwiseMax(1e-12 * information.cwiseAbs().maxCoeff() + 1e-300).cwiseSqrt();
  const Vector inverse = scale.cwiseInverse();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(inverse.asDiagonal() * information * inverse.asDiagonal());
  const Vector curvature = eigen.eigenvalues().cwiseAbs();
  const double smallest = kSmallestCurvature * std::max(curvature.maxCoeff(), 1e-300);
  Vector coordinates = eigen.eigenvectors().transpose() * inverse.cwiseProduct(gradient);
  coordinates = coordinates.cwiseQuotient(curvature.cwiseMax(smallest));
  return inverse.cwiseProduct(eigen.eigenvectors() * coordinates);
}

}  // namespace

void update_by_newton(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor,
                      int steps) {
  const Index size = expert.parameters().size();
  const Bounds bounds = bounds_of(expert, sigma_floor);
  const double mass = r.sum();
  double before = weighted_log_density(expert, blocks, r);
  for (int round = 0; round < steps; ++round) {
    Vector gradient = Vector::Zero(size);
    Matrix information = Matrix::Zero(size, size);
    Index at = 0;
    for (const Data& block : blocks) {
      const Vector weight = r.segment(at, block.rows());
      gradient.noalias() += expert_score_rows(expert, block).transpose() * weight;
      information -= expert_hessian(expert, block, weight);
      at += block.rows();
    }
    if (!gradient.allFinite() || !information.allFinite()) return;
    const Vector old = expert.parameters();
    for (Index i = 0; i < size; ++i) {  // a parameter at its bound that wants beyond it stays out
      const bool stuck =
          (old(i) <= bounds.lower(i) && gradient(i) <= 0) || (old(i) >= bounds.upper(i) && gradient(i) >= 0);
      if (!stuck) continue;
      gradient(i) = 0;
      information.row(i).setZero();
      information.col(i).setZero();
    }
    const Vector step = uphill_step(information, gradient);
    if (!step.allFinite()) return;
    bool moved = false;
    double after = before, length = 1;
    for (int attempt = 0; attempt < kHalvings && !moved; ++attempt, length *= 0.5) {
      expert.parameters() = (old + length * step).cwiseMax(bounds.lower).cwiseMin(bounds.upper);
      if (below_floor(expert, blocks, r, sigma_floor)) continue;
      after = weighted_log_density(expert, blocks, r);
      moved = after >= before;
    }
    if (!moved) {
      expert.parameters() = old;
      return;
    }
    if (after - before < kSmallestGain * mass) return;
    before = after;
  }
}

void escape_zero_slant(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor) {
  constexpr double kNoSlant = 0.1, kLargestSkewness = 0.9;  // skew-normal distributions have less than 0.9953
  const Index last = expert.parameters().size() - 1;
  if (std::abs(expert.parameters()(last)) > kNoSlant) return;
  const double mass = r.sum();
  std::vector<Vector> residuals;
  double mean = 0, second = 0, third = 0;
  Index at = 0;
  for (const Data& block : blocks) {
    residuals.emplace_back(block.response.col(0) - linear_predictor(expert, block.expert_inputs, block.offset));
    mean += residuals.back().dot(r.segment(at, block.rows())) / mass;
    at += block.rows();
  }
  at = 0;
  for (const Vector& e : residuals) {
    const auto centred = e.array() - mean;
    second += (centred.square() * r.segment(at, e.size()).array()).sum() / mass;
    third += (centred.cube() * r.segment(at, e.size()).array()).sum() / mass;
    at += e.size();
  }
  if (!(second > 0)) return;
  const double skewness = std::clamp(third / std::pow(second, 1.5), -kLargestSkewness, kLargestSkewness);
  // Moments of the skew-normal distribution solved for delta (Azzalini 1985).
  constexpr double kHalfPi = 1.57079632679489661923;
  const double power = std::pow(std::abs(skewness), 2.0 / 3.0);
  const double delta = std::copysign(std::sqrt(kHalfPi * power / (power + std::pow(2 - kHalfPi, 2.0 / 3.0))), skewness);
  const double scale = std::sqrt(second / (1 - delta * delta / kHalfPi));
  const Vector old = expert.parameters();
  const double before = weighted_log_density(expert, blocks, r);
  expert.parameters()(0) += mean - scale * delta / std::sqrt(kHalfPi);
  expert.set_sigma(std::max(scale, sigma_floor));
  expert.parameters()(last) = delta / std::sqrt(1 - delta * delta);
  if (!(weighted_log_density(expert, blocks, r) >= before)) expert.parameters() = old;
}

}  // namespace clearway::detail
