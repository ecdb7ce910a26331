#include "optimise.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kSmallestGain = 1e-13;  // relative changes below this are rounding
constexpr int kNewtonSteps = 25;
constexpr double kShortGain = 1e-3;     // log-likelihood per iteration at which a short run has arrived
constexpr double kQuietScore = 1e-4;    // mean score up to which an EM that stands still has converged
constexpr double kFirstDamping = 1e-4;  // of a Newton step, relative to the diagonal
constexpr int kNewtonParameters = 600;  // more would cost more than EM saves

// Whether the gate has free parameters (symmetries that no pinning takes away) beyond those that it can tell apart.
bool gate_is_redundant(const Gate& gate) {
  int free = 0;
  for (Index i = 0; i < gate.parameters().size(); ++i) free += gate.pinned(i) ? 0 : 1;
  return free > gate.degrees_of_freedom();
}

class Optimiser {
 public:
  Optimiser(EmEngine& engine, MixtureModel& model, const OptimiseSettings& settings)
      : engine_(engine), model_(model), settings_(settings), redundant_(gate_is_redundant(model.gate)) {}

  OptimiseOutcome run() {
    engine_.reset();
    const bool likelihood_estimate = model_.experts.front().spec().divisor == VarianceDivisor::likelihood;
    const bool newton =
        settings_.newton && likelihood_estimate && has_curvature() && engine_.map().size <= kNewtonParameters;
    double gain_for_newton = 1e-2;  // of log-likelihood per iteration; tightened after every failed attempt
    double previous = -std::numeric_limits<double>::infinity();
    int quiet = 0;
    while (outcome_.iterations < settings_.max_iterations) {
      const double value = settings_.acceleration == Acceleration::squarem ? squarem_cycle() : em_step();
      const double gain = value - previous;
      previous = value;
      if (newton && gain < gain_for_newton) {
        if (newton_phase()) return finish();
        previous = outcome_.objective;
        gain_for_newton = std::min(gain_for_newton, std::max(gain, 0.0)) * 1e-2;
        engine_.reset();
      }
      quiet = gain <= kSmallestGain * (std::abs(value) + engine_.total_weight()) ? quiet + 1 : 0;
      if (quiet >= 5) return model_.gate.is_smooth() ? finish_quiet(newton) : finish_at_jump(newton);
    }
    outcome_.reason = StopReason::iteration_limit;
    return finish();
  }

 private:
  void record(double value, const char* phase, double score = std::numeric_limits<double>::quiet_NaN()) {
    outcome_.history.push_back({settings_.start, outcome_.iterations, value, score, phase});
  }

  double em_step() {
    const double value = engine_.step(model_);
    record(value, "em");
    ++outcome_.iterations;
    outcome_.objective = value;
    return value;
  }

  // Varadhan and Roland (2008), scheme S3, with a fall-back to the plain EM iterate whenever the jump lowers the
  // objective. The jump is accepted by the value that its own (stabilising) EM step returns.
  double squarem_cycle() {
    const ParameterMap& map = engine_.map();
    const Vector start = map.pack(model_);
    em_step();
    const Vector first = map.pack(model_);
    const double after_first = em_step();
    const Vector second = map.pack(model_);
    const Vector r = first - start, v = second - first - r;
    const double length = v.norm();
    if (!(length > 0) || !(r.norm() > 0)) return after_first;
    double factor = std::clamp(r.norm() / length, 1.0, max_jump_);
    const bool longest = factor == max_jump_;
    if (factor > 1.0 + 1e-12) {
      const MixtureModel fallback = model_;
      map.unpack(start + 2 * factor * r + factor * factor * v, model_);
      engine_.reset();
      const double value = engine_.step(model_);
      ++outcome_.iterations;
      if (std::isfinite(value) && value >= after_first) {
        record(value, "squarem");
        outcome_.objective = value;
        if (longest) max_jump_ = std::min(max_jump_ * 4, 1e6);
        return value;
      }
      model_ = fallback;
      engine_.reset();
      max_jump_ = std::max(1.0, max_jump_ / 2);
      if (max_jump_ < 4) max_jump_ = 4;
    } else if (longest) {
      max_jump_ *= 4;
    }
    return after_first;
  }

  // Parameters that sit at a bound with the score pushing outward take no part; nor do those on which the likelihood
  // does not depend at all (the gate of a top-1 model, where the selection is given).
  std::vector<Index> active(const Vector& free, const Vector& score, const Matrix* information = nullptr) const {
    std::vector<Index> indices;
    const ParameterMap& map = engine_.map();
    for (Index i = 0; i < map.size; ++i) {
      const bool at_lower = free(i) <= map.lower(i) + 1e-9 && score(i) <= 0;
      const bool at_upper = free(i) >= map.upper(i) - 1e-9 && score(i) >= 0;
      const bool without_effect = information && score(i) == 0 && (*information)(i, i) == 0;
      if (!at_lower && !at_upper && !without_effect) indices.push_back(i);
    }
    return indices;
  }

  // Damped Newton ascent on the exact information. True when the score vanished.
  bool newton_phase() {
    const ParameterMap& map = engine_.map();
    Vector score;
    Matrix information;
    double value = engine_.derivatives(model_, score, &information);
    count_derivatives();
    double damping = 0;
    for (int round = 0; round < kNewtonSteps && outcome_.iterations < settings_.max_iterations; ++round) {
      const Vector free = map.pack(model_);
      const std::vector<Index> index = active(free, score, &information);
      if (index.empty()) return converged(value, 0, information, index);
      const auto size = static_cast<Index>(index.size());
      Vector g(size);
      Matrix h(size, size);
      for (Index i = 0; i < size; ++i) {
        g(i) = score(index[static_cast<std::size_t>(i)]);
        for (Index j = 0; j < size; ++j)
          h(i, j) = information(index[static_cast<std::size_t>(i)], index[static_cast<std::size_t>(j)]);
      }
      const double mean_score = g.cwiseAbs().maxCoeff() / engine_.total_weight();
      record(value, "newton", mean_score);
      const Vector scale = h.diagonal().cwiseAbs().cwiseMax(1e-12 * engine_.total_weight());
      bool accepted = false;
      for (int attempt = 0; attempt < 12; ++attempt) {
        Matrix damped = h;
        damped.diagonal() += damping * scale;
        const Eigen::LLT<Matrix> cholesky(damped);
        const bool definite = cholesky.info() == Eigen::Success;
        if (definite) {
          const Vector step = cholesky.solve(g);
          const double decrement = g.dot(step);
          // Done when the score is zero to the tolerance, or when a whole Newton step could gain nothing that
          // double precision of the log-likelihood can show (parameters then are exact to 1e-6 standard errors).
          // A family with more parameters than it can tell apart has curvature 0 along some directions; there the
          // first damping is what makes the matrix definite.
          const bool undamped = damping == 0 || (redundant_ && damping <= kFirstDamping);
          if (undamped && (mean_score < settings_.tolerance || (damping == 0 && decrement < 1e-12)))
            return converged(value, mean_score, h, index, &step, &free);
          Vector moved = free;
          for (Index i = 0; i < size; ++i) moved(index[static_cast<std::size_t>(i)]) += step(i);
          MixtureModel candidate = model_;
          map.unpack(moved, candidate);
          const double trial = engine_.objective(candidate);
          ++outcome_.iterations;
          if (std::isfinite(trial) && trial >= value - kSmallestGain * (std::abs(value) + engine_.total_weight())) {
            model_ = candidate;
            accepted = true;
            damping = damping > 1e-6 ? damping / 10 : 0;
            break;
          }
        }
        damping = damping == 0 ? kFirstDamping : damping * 10;
        if (damping > 1e8) break;
      }
      if (!accepted) break;
      value = engine_.derivatives(model_, score, &information);
      count_derivatives();
      outcome_.objective = value;
    }
    outcome_.objective = value;
    return false;
  }

  void count_derivatives() {
    // Second derivatives cost about as many passes as there are experts.
    outcome_.iterations += std::max(1, model_.expert_count());
  }

  bool converged(double value, double mean_score, const Matrix& h, const std::vector<Index>& index,
                 const Vector* step = nullptr, const Vector* free = nullptr) {
    outcome_.objective = value;
    outcome_.score = mean_score;
    outcome_.converged = true;
    outcome_.reason = StopReason::converged;
    if (step && mean_score > 0) {  // the last step costs nothing and takes the score to rounding
      Vector moved = *free;
      for (std::size_t i = 0; i < index.size(); ++i) moved(index[i]) += (*step)(static_cast<Index>(i));
      MixtureModel candidate = model_;
      engine_.map().unpack(moved, candidate);
      const double trial = engine_.objective(candidate);
      if (trial >= value - kSmallestGain * (std::abs(value) + engine_.total_weight())) {
        model_ = candidate;
        outcome_.objective = std::max(trial, value);
        Vector score;
        engine_.derivatives(model_, score, nullptr);
        outcome_.score = 0;
        for (Index i : index) outcome_.score = std::max(outcome_.score, std::abs(score(i)) / engine_.total_weight());
      }
    }
    outcome_.standardised_errors = Vector::Constant(engine_.map().size, std::numeric_limits<double>::quiet_NaN());
    if (!index.empty()) {
      const Vector scale = h.diagonal().cwiseAbs().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
      const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scale.asDiagonal() * h * scale.asDiagonal());
      outcome_.flat = eigen.eigenvalues()(0) < 1e-9;
      const Vector values = eigen.eigenvalues().cwiseMax(1e-14);
      const Matrix inverse =
          eigen.eigenvectors() * values.cwiseInverse().asDiagonal() * eigen.eigenvectors().transpose();
      for (std::size_t i = 0; i < index.size(); ++i)
        outcome_.standardised_errors(index[i]) =
            std::sqrt(inverse(static_cast<Index>(i), static_cast<Index>(i))) * scale(static_cast<Index>(i));
    }
    return true;
  }

  // A top-k gate: EM that stands still has the best selection of its neighbourhood, often at a jump, where the score need
  // not vanish.
  OptimiseOutcome finish_at_jump(bool newton) {
    OptimiseOutcome outcome = finish_quiet(newton);
    outcome.converged = true;
    outcome.reason = StopReason::converged;
    return outcome;
  }

  // EM no longer moves the objective. With a likelihood estimate that is convergence when the score agrees; at a kink
  // of the likelihood (ReLU) or with another noise estimate the fixed point itself is the answer.
  OptimiseOutcome finish_quiet(bool newton) {
    if (newton && newton_phase()) return finish();
    Vector score;
    outcome_.objective = engine_.derivatives(model_, score, nullptr);
    const Vector free = engine_.map().pack(model_);
    double largest = 0;
    for (Index i : active(free, score)) largest = std::max(largest, std::abs(score(i)));
    outcome_.score = largest / engine_.total_weight();
    // A kink, or a noise estimate that is not the likelihood's: the score there need not vanish.
    const bool kinked = std::any_of(model_.experts.begin(), model_.experts.end(),
                                    [](const Expert& e) { return !is_smooth(e.spec().kind); });
    const bool unbiased = model_.experts.front().spec().divisor == VarianceDivisor::unbiased;
    outcome_.converged = outcome_.score < kQuietScore || kinked || unbiased;
    outcome_.reason = outcome_.converged ? StopReason::converged : StopReason::no_progress;
    return finish();
  }

  // Absolute values have no curvature for Newton's method to use; covariances that experts have in common are no free
  // parameters, and a score without them vanishes too early.
  bool has_curvature() const {
    const Expert& first = model_.experts.front();
    if (first.responses() > 1 && is_parsimonious(first.spec().covariance)) return false;
    return std::none_of(model_.experts.begin(), model_.experts.end(),
                        [](const Expert& e) { return e.spec().kind == ExpertKind::laplace; });
  }

  OptimiseOutcome finish() { return std::move(outcome_); }

  EmEngine& engine_;
  MixtureModel& model_;
  const OptimiseSettings& settings_;
  bool redundant_;
  OptimiseOutcome outcome_;
  double max_jump_ = 4;
};

}  // namespace

double run_short(EmEngine& engine, MixtureModel& model, int iterations) {
  engine.reset();
  double value = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < iterations; ++i) {
    const double next = engine.step(model);
    if (next - value < kShortGain) return next;
    value = next;
  }
  return value;
}

OptimiseOutcome optimise(EmEngine& engine, MixtureModel& model, const OptimiseSettings& settings) {
  if (settings.max_iterations == 0) {
    OptimiseOutcome outcome;
    outcome.objective = engine.objective(model);
    outcome.reason = StopReason::iteration_limit;
    return outcome;
  }
  return Optimiser(engine, model, settings).run();
}

}  // namespace clearway::detail
