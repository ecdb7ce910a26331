#include "levenberg_marquardt.hpp"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kDetermined = 1e-8;    // singular values below this share of the largest carry no information
constexpr double kFirstDamping = 1e-3;  // of the largest squared singular value
constexpr double kLargestDamping = 1e12;
constexpr double kResolution = 1e-14;    // relative changes of a sum of squares below this are rounding
constexpr double kNoGain = 1e-12;        // log-likelihood that a whole step could gain at convergence (as in fit())
constexpr double kSmallGain = 1e-9;      // the same where the sum of squares cannot resolve more
constexpr double kSmallestGain = 1e-13;  // relative decrease at which a kinked problem stands still
constexpr double kLargest = 1e8;         // of a standardised parameter: further out nothing changes
constexpr int kQuietSteps = 5;

class Minimiser {
 public:
  Minimiser(const LeastSquaresProblem& problem, MixtureModel& model, const LeastSquaresSettings& settings)
      : problem_(problem), model_(model), settings_(settings) {}

  LeastSquaresOutcome run() {
    squares_ = problem_.solve_linear(model_);
    outcome_.iterations = 1;
    if (!std::isfinite(squares_)) return finish(StopReason::no_progress);
    for (;;) {
      if (!linearise()) return finish(StopReason::no_progress);
      if (outcome_.score <= settings_.tolerance || full_gain_ <= kNoGain || squares_ <= smallest_squares())
        return finish(StopReason::converged);
      if (outcome_.iterations >= settings_.max_iterations) return finish(StopReason::iteration_limit);
      const double before = squares_;
      if (!step())
        return finish(settings_.kinked || full_gain_ <= kSmallGain ? StopReason::converged : StopReason::no_progress);
      const bool resting = settings_.kinked && before - squares_ <= kSmallestGain * before;
      quiet_ = resting ? quiet_ + 1 : 0;
      if (quiet_ >= kQuietSteps) return finish(StopReason::converged);
    }
  }

 private:
  // Below this the model goes through the data to rounding; the response has variance 1 on the working scale or is of
  // the order of 1.
  double smallest_squares() const { return 1e-28 * problem_.total_weight(); }

  bool linearise() {
    const Matrix r = problem_.factor(model_);
    ++outcome_.iterations;
    if (!r.allFinite()) return false;
    const Index p = r.cols() - 1, linear = problem_.linear_count(), free = problem_.nonlinear_count();
    squares_ = r.col(p).squaredNorm();
    const Vector gradient = r.leftCols(p).transpose() * r.col(p);
    outcome_.score = p > 0 && squares_ > 0 ? gradient.cwiseAbs().maxCoeff() / squares_ : 0.0;
    outcome_.history.push_back({settings_.start, outcome_.iterations, squares_, outcome_.score, "levenberg"});

    full_gain_ = 0;
    if (free == 0) return true;
    Matrix m = r.middleCols(linear, free);
    Vector q = r.col(p);
    const double shortest = kNoInfluence * std::sqrt(problem_.total_weight());
    if (scale_.size() == 0) scale_ = Vector::Constant(free, shortest);
    scale_ = scale_.cwiseMax(m.colwise().norm().transpose());
    if (linear > 0) {
      Matrix unit = r.leftCols(linear);
      for (Index j = 0; j < linear; ++j) {
        const double length = unit.col(j).norm();
        if (length < shortest)
          unit.col(j).setZero();
        else
          unit.col(j) /= length;
      }
      Eigen::ColPivHouseholderQR<Matrix> qr;
      qr.setThreshold(kLinearlyDependent);
      qr.compute(unit);
      const Matrix basis = qr.householderQ() * Matrix::Identity(p + 1, qr.rank());
      m -= basis * (basis.transpose() * m);
      q -= basis * (basis.transpose() * q);
    }
    m *= scale_.cwiseInverse().asDiagonal();
    // r = y - f and J = df, so that the step solves J step = r.
    svd_.compute(m, Eigen::ComputeThinU | Eigen::ComputeThinV);
    coordinates_ = svd_.matrixU().transpose() * q;
    const Vector& s = svd_.singularValues();
    double gain = 0;
    for (Index i = 0; i < s.size(); ++i)
      if (s(i) > kDetermined * s(0)) gain += coordinates_(i) * coordinates_(i);
    full_gain_ = squares_ > 0 ? 0.5 * problem_.total_weight() * gain / squares_ : 0.0;
    if (damping_ < 0) damping_ = kFirstDamping * s(0) * s(0);
    return true;
  }

  // One accepted step; false when no damping gives one.
  bool step() {
    if (problem_.nonlinear_count() == 0) return false;
    const Vector& s = svd_.singularValues();
    if (!(s(0) > 0)) return false;
    const Vector from = problem_.nonlinear(model_);
    double growth = 2;
    while (damping_ <= kLargestDamping * s(0) * s(0)) {
      Vector part(s.size());
      double predicted = 0;
      for (Index i = 0; i < s.size(); ++i) {
        const double divisor = s(i) * s(i) + damping_;
        part(i) = divisor > 0 ? s(i) * coordinates_(i) / divisor : 0.0;
        const double left = divisor > 0 ? damping_ / divisor : 1.0;
        predicted += coordinates_(i) * coordinates_(i) * (1 - left * left);
      }
      const Vector move = (svd_.matrixV() * part).cwiseQuotient(scale_);
      MixtureModel trial = model_;
      problem_.set_nonlinear(from + move, trial);
      const double squares = problem_.solve_linear(trial);
      ++outcome_.iterations;
      const bool resolvable = predicted > kResolution * squares_;
      // A step too small to be seen in the sum of squares still improves the gradient; a few of them are allowed.
      const bool accepted =
          resolvable ? squares < squares_ : unresolved_ < kQuietSteps && squares <= squares_ * (1 + 10 * kResolution);
      if (std::isfinite(squares) && accepted && problem_.nonlinear(trial).cwiseAbs().maxCoeff() < kLargest) {
        unresolved_ = resolvable ? 0 : unresolved_ + 1;
        const double ratio = resolvable ? (squares_ - squares) / predicted : 1.0;
        damping_ *= std::max(0.1, 1 - std::pow(2 * ratio - 1, 3));
        if (damping_ < 1e-20 * s(0) * s(0)) damping_ = 1e-20 * s(0) * s(0);
        model_ = std::move(trial);
        squares_ = squares;
        return true;
      }
      if (!resolvable || outcome_.iterations >= settings_.max_iterations) break;
      damping_ = std::max(damping_, 1e-14 * s(0) * s(0)) * growth;
      growth *= 2;
    }
    return false;
  }

  LeastSquaresOutcome finish(StopReason reason) {
    if (reason == StopReason::no_progress && outcome_.iterations >= settings_.max_iterations)
      reason = StopReason::iteration_limit;
    outcome_.sum_of_squares = squares_;
    outcome_.reason = reason;
    outcome_.converged = reason == StopReason::converged;
    return outcome_;
  }

  const LeastSquaresProblem& problem_;
  MixtureModel& model_;
  const LeastSquaresSettings& settings_;
  LeastSquaresOutcome outcome_;
  double squares_ = 0;
  double full_gain_ = 0;  // log-likelihood that an undamped step promises
  double damping_ = -1;
  int quiet_ = 0;
  int unresolved_ = 0;
  Vector scale_, coordinates_;
  Eigen::BDCSVD<Matrix> svd_;
};

}  // namespace

LeastSquaresOutcome minimise(const LeastSquaresProblem& problem, MixtureModel& model,
                             const LeastSquaresSettings& settings) {
  return Minimiser(problem, model, settings).run();
}

}  // namespace clearway::detail
