#include "clearway/stat/profile.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "clearway/base/text.hpp"
#include "inference_parameters.hpp"
#include "probability.hpp"
#include "text_paragraph.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

using namespace detail;
using Eigen::Index;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kNewtonSteps = 60;
constexpr double kSmallGain = 1e-9;  // of log-likelihood: a constrained refit has arrived
constexpr double kRootTolerance = 1e-6;
constexpr int kRootSteps = 40;
constexpr double kFarthest = 1e4;  // standard errors (or their stand-in) beyond which an end counts as infinite

enum class Written { plain, logarithm, logit };

// The scale on which the likelihood knows a parameter of the table, and where it stands in the stacked vector.
struct Target {
  Index stacked = -1;
  Written written = Written::plain;
};

Target find_target(const Inference& inference, const std::string& name, const std::vector<std::string>& stacked) {
  const int i = inference.index(name);
  const ParameterPart part = inference.parts[static_cast<std::size_t>(i)];
  const auto position = [&](const std::string& wanted) {
    const auto found = std::find(stacked.begin(), stacked.end(), wanted);
    return found == stacked.end() ? Index{-1} : static_cast<Index>(found - stacked.begin());
  };
  Target target{position(name), Written::plain};
  if (part == ParameterPart::spread)
    target = {position(fmt::format("expert {}: log({})", inference.experts[static_cast<std::size_t>(i)] + 1,
                                   inference.labels[static_cast<std::size_t>(i)])),
              Written::logarithm};
  if (part == ParameterPart::noise) target = {position("logit(noise weight)"), Written::logit};
  if (target.stacked < 0)
    user_error("a profile interval is for a coefficient, a noise level, a shape or the noise weight, not for '{}'",
               name);
  return target;
}

double shown(double value, Written written) {
  switch (written) {
    case Written::plain:
      break;
    case Written::logarithm:
      return std::exp(value);
    case Written::logit:
      return 1 / (1 + std::exp(-value));
  }
  return value;
}

class Profiler {
 public:
  Profiler(const Data& data, const FitResult& result, const Target& target, int threads)
      : scaling_(data, result.model), standard_(scaling_.to_standard(result.model)) {
    EngineSettings settings;
    settings.sigma_floor =
        result.sigma_floor * scaling_.response_deviation.cwiseQuotient(scaling_.response_scale).minCoeff();
    settings.threads = threads;
    engine_ = make_engine(data, scaling_, standard_, settings);
    free_ = engine_->map().pack(standard_);
    constraint_ = stacked_from_free(standard_, engine_->map(), scaling_).row(target.stacked).transpose();
    estimate_ = model_parameters(result.model)(target.stacked);
    Vector score;
    engine_->derivatives(standard_, score, &information_);
    maximum_ = engine_->objective(standard_);
    const Vector direction = solve(information_, constraint_);
    const double variance = constraint_.dot(direction);
    scale_ = variance > 0 && std::isfinite(variance) ? std::sqrt(variance) : 0.1 * std::max(1e-3, std::abs(estimate_));
    path_ = direction / std::max(constraint_.dot(direction), 1e-300);
    if (!path_.allFinite()) path_ = constraint_ / constraint_.squaredNorm();
  }

  double estimate() const { return estimate_; }

  // The end on one side (-1 or 1) on the scale of the likelihood. Newton's rule on the signed root of the deviance,
  // which is nearly linear, between bounds that only tighten.
  double end(int side, double quantile, std::vector<std::pair<double, double>>& profile, std::string& note) {
    MixtureModel model = standard_;
    double at = estimate_;
    double inside = 0, outside = kInfinity, reach = quantile;
    for (int step = 0; step < kRootSteps; ++step) {
      const double value = estimate_ + side * reach * scale_;
      const double root = std::sqrt(std::max(0.0, 2 * (maximum_ - refit(value, at, model))));
      at = value;
      if (!std::isfinite(root)) {
        outside = reach;
        model = standard_;
        at = estimate_;
      } else {
        profile.emplace_back(value, root * root);
        if (std::abs(root - quantile) < kRootTolerance * quantile) return value;
        (root < quantile ? inside : outside) = reach;
      }
      double next = std::isfinite(root) && root > 0 ? reach * quantile / root : 2 * reach;
      if (next > 3 * reach) next = 3 * reach;
      if (!(next > inside && next < outside)) next = std::isfinite(outside) ? 0.5 * (inside + outside) : 2 * inside;
      reach = next;
      if (reach > kFarthest) {
        note = "The likelihood never falls far enough on one side: the interval has no end there.";
        return side * kInfinity;
      }
      if (outside - inside < kRootTolerance * reach) return value;
    }
    note = "The search for an end of the interval ran out of steps; the value is where it stopped.";
    return at;
  }

 private:
  static Vector solve(const Matrix& a, const Vector& b) {
    const Vector scale = a.diagonal().cwiseAbs().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
    const Eigen::LDLT<Matrix> factor(scale.asDiagonal() * a * scale.asDiagonal());
    return scale.asDiagonal() * factor.solve(scale.asDiagonal() * b);
  }

  // Maximises over all other parameters with the target at `value`; `model` has it at `from` and is moved. Returns the
  // profile log-likelihood, minus infinity where no refit succeeded.
  double refit(double value, double from, MixtureModel& model) {
    const ParameterMap& map = engine_->map();
    Vector free = map.pack(model) + (value - from) * path_;
    map.unpack(free, model);
    free = map.pack(model);
    double objective = engine_->objective(model);
    if (!std::isfinite(objective)) return -kInfinity;
    double damping = 0;
    for (int step = 0; step < kNewtonSteps; ++step) {
      Vector score;
      Matrix information;
      objective = engine_->derivatives(model, score, &information);
      std::vector<Index> active;
      for (Index i = 0; i < map.size; ++i) {
        const bool low = free(i) <= map.lower(i) + 1e-9 && score(i) <= 0;
        const bool high = free(i) >= map.upper(i) - 1e-9 && score(i) >= 0;
        if (!low && !high) active.push_back(i);
      }
      const Vector g = score(active), a = constraint_(active);
      const Matrix h = information(active, active);
      const Vector scale = h.diagonal().cwiseAbs().cwiseMax(1e-12 * engine_->total_weight());
      bool moved = false;
      for (int attempt = 0; attempt < 15 && !moved; ++attempt) {
        Matrix damped = h;
        damped.diagonal() += damping * scale;
        const Eigen::LLT<Matrix> cholesky(damped);
        if (cholesky.info() == Eigen::Success) {
          const Vector along = cholesky.solve(g), across = cholesky.solve(a);
          const Vector change = along - across * (a.dot(along) / a.dot(across));
          const double gain = g.dot(change);
          if (damping == 0 && gain < kSmallGain) return objective;
          Vector trial = free;
          for (std::size_t i = 0; i < active.size(); ++i) trial(active[i]) += change(static_cast<Index>(i));
          MixtureModel candidate = model;
          map.unpack(trial, candidate);
          const double after = engine_->objective(candidate);
          if (std::isfinite(after) && after >= objective - 1e-12 * std::abs(objective)) {
            if (after - objective < kSmallGain && damping == 0) {
              model = candidate;
              return after;
            }
            model = candidate;
            free = map.pack(model);
            damping = damping > 1e-6 ? damping / 10 : 0;
            moved = true;
          }
        }
        if (!moved) damping = damping == 0 ? 1e-4 : damping * 10;
      }
      if (!moved) return objective;
    }
    return objective;
  }

  Scaling scaling_;
  MixtureModel standard_;
  std::unique_ptr<EmEngine> engine_;
  Vector free_, constraint_, path_;
  Matrix information_;
  double estimate_ = 0, maximum_ = 0, scale_ = 1;
};

}  // namespace

ProfileInterval profile_interval(const Data& data, const FitResult& result, const ModelNames& names,
                                 const Inference& inference, const std::string& name, double level, int threads) {
  if (!(level > 0 && level < 1)) user_error("the level of an interval must lie between 0 and 1, not {}", level);
  const Target target = find_target(inference, name, stacked_names(result.model, names));
  if (result.gate_ridge > 0)
    user_error("profile intervals are for the likelihood, and this fit has a ridge penalty on its gate");
  const Expert& first = result.model.experts.front();
  if (first.responses() > 1 && is_parsimonious(first.spec().covariance))
    user_error(
        "a profile interval is for full and diagonal covariances, not for {}: there are Wald intervals, and "
        "clearway bootstrap",
        enum_name(first.spec().covariance));
  Profiler profiler(data, result, target, threads);
  const double quantile = normal_quantile(0.5 + 0.5 * level);
  ProfileInterval interval{.name = name, .level = level, .profile = {}, .note = {}};
  interval.estimate = shown(profiler.estimate(), target.written);
  interval.lower = shown(profiler.end(-1, quantile, interval.profile, interval.note), target.written);
  interval.upper = shown(profiler.end(1, quantile, interval.profile, interval.note), target.written);
  interval.profile.emplace_back(profiler.estimate(), 0.0);
  for (auto& point : interval.profile) point.first = shown(point.first, target.written);
  std::sort(interval.profile.begin(), interval.profile.end());
  return interval;
}

std::string profile_text(const std::vector<ProfileInterval>& intervals, int digits, std::size_t width) {
  if (intervals.empty()) return {};
  TextTable table(width, 3);
  const double level = intervals.front().level;
  table.column("Estimate");
  table.column(fmt::format("{:.4g} %", 50 - 50 * level));
  table.column(fmt::format("{:.4g} %", 50 + 50 * level));
  std::string notes;
  for (const ProfileInterval& interval : intervals) {
    table.begin_row(interval.name);
    for (const double value : {interval.estimate, interval.lower, interval.upper})
      table.cell(table_number(value, digits));
    if (!interval.note.empty()) notes += paragraph(fmt::format("{}: {}", interval.name, interval.note), width, 2);
  }
  return fmt::format("\nProfile likelihood\n{}{}", table.text(), notes);
}

}  // namespace clearway
