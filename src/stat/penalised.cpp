#include "clearway/stat/penalised.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/stat/predictive_scores.hpp"
#include "penalised_em.hpp"
#include "spurious_maximum.hpp"

namespace clearway {
namespace {

using detail::PenalisedEm;
using detail::PenaltyMass;
using detail::Scaling;
using detail::SlopeSupport;
using Eigen::Index;

constexpr int kMostRaises = 12;
constexpr double kBetter = 1e-8;  // relative gain of the objective from which another local maximum counts as better

double total_weight(const Data& data) {
  return data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows());
}

MixtureModel prototype_of(const Data& data, const FitOptions& options) {
  MixtureModel prototype;
  prototype.gate = Gate(options.gate, static_cast<int>(data.gate_inputs.cols()), options.experts);
  prototype.experts.assign(static_cast<std::size_t>(options.experts),
                           Expert(options.expert, static_cast<int>(data.expert_inputs.cols())));
  return prototype;
}

/// The problem on its working scale.
struct Working {
  MixtureModel prototype;
  Scaling scaling;
  Data data;
  double weight;
  double sigma_floor;

  Working(const Data& raw, const FitOptions& options)
      : prototype(prototype_of(raw, options)),
        scaling(raw, prototype),
        data(scaling.standardised(raw, 0, raw.rows())),
        weight(total_weight(raw)),
        sigma_floor(options.sigma_floor * scaling.response_deviation.cwiseQuotient(scaling.response_scale).minCoeff()) {
  }
};

PenaltyMass mass_of(const PenaltyOptions& penalty, double strength, double weight) {
  const double l1 = weight * strength * penalty.lasso_share();
  const double l2 = weight * strength * (1 - penalty.lasso_share());
  PenaltyMass mass;
  if (penalty.on != PenaltyTarget::gate) {
    mass.expert_l1 = l1;
    mass.expert_l2 = l2;
  }
  if (penalty.on != PenaltyTarget::experts) {
    mass.gate_l1 = l1;
    mass.gate_l2 = l2;
  }
  return mass;
}

SlopeSupport support_of(const MixtureModel& model) {
  SlopeSupport support;
  for (int k = 0; k < model.expert_count(); ++k) {
    const Expert& expert = model.experts[static_cast<std::size_t>(k)];
    std::vector<bool> slopes, row;
    for (Index j = 0; j < expert.inputs(); ++j) slopes.push_back(expert.parameters()(1 + j) != 0);
    for (Index j = 0; j < model.gate.inputs(); ++j) row.push_back(model.gate.block(k)(1 + j) != 0);
    support.experts.push_back(std::move(slopes));
    support.gate.push_back(std::move(row));
  }
  return support;
}

int count_of(const std::vector<std::vector<bool>>& support) {
  int count = 0;
  for (const auto& row : support) count += static_cast<int>(std::count(row.begin(), row.end(), true));
  return count;
}

/// Slopes under the penalty that are not zero.
int penalised_slopes(const MixtureModel& standard, PenaltyTarget on) {
  const SlopeSupport support = support_of(standard);
  return (on == PenaltyTarget::gate ? 0 : count_of(support.experts)) +
         (on == PenaltyTarget::experts ? 0 : count_of(support.gate));
}

double entropy_of(const MixtureModel& model, const Data& data) {
  const Matrix r = model.responsibilities(data);
  double sum = 0;
  for (Index i = 0; i < r.rows(); ++i)
    for (Index j = 0; j < r.cols(); ++j)
      if (r(i, j) > 0) sum -= (data.weights.size() ? data.weights(i) : 1.0) * r(i, j) * std::log(r(i, j));
  return sum;
}

/// Fills a point from its model on the working scale.
void describe(const Data& data, const Working& working, const MixtureModel& standard, PenalisedPoint& point) {
  point.model = working.scaling.to_raw(standard);
  const SlopeSupport support = support_of(standard);
  point.expert_support = support.experts;
  point.gate_support = support.gate;
  point.expert_slopes = count_of(support.experts);
  point.gate_slopes = count_of(support.gate);
  const int experts = standard.expert_count();
  const int noise = standard.experts.front().has_sigma() ? experts : 0;
  point.degrees_of_freedom = 2 * experts - 1 + noise + point.expert_slopes + point.gate_slopes;
  point.log_likelihood = point.model.log_likelihood(data);
  point.criteria = information_criteria(point.log_likelihood, point.degrees_of_freedom, working.weight,
                                        entropy_of(point.model, data));
}

/// Climbs at one strength; `standard` is start and result on the working scale.
PenalisedPoint fit_point(const Data& data, const Working& working, const PenaltyOptions& penalty, double strength,
                         const SlopeSupport& support, MixtureModel& standard) {
  const PenalisedEm em(working.data, working.prototype, mass_of(penalty, strength, working.weight), support,
                       working.sigma_floor);
  PenalisedPoint point;
  point.strength = strength;
  point.iterations = em.climb(standard, penalty.max_iterations, penalty.tolerance, point.history);
  point.violation = em.violation(standard);
  point.converged = point.violation < penalty.tolerance;
  point.objective = em.objective(standard) + working.scaling.log_jacobian() * working.weight;
  point.degenerate = std::any_of(standard.experts.begin(), standard.experts.end(), [&](const Expert& expert) {
    return expert.has_sigma() && expert.sigma() <= working.sigma_floor * (1 + 1e-6);
  });
  describe(data, working, standard, point);
  return point;
}

// The strength at which no slope gains from leaving zero, with the memberships of the unpenalised fit: the largest score
// of a slope at the intercepts and noise levels that are best without slopes.
double largest_strength(const Working& working, const PenaltyOptions& penalty, const MixtureModel& standard) {
  SlopeSupport none = support_of(standard);
  for (auto* side : {&none.experts, &none.gate})
    for (auto& row : *side) std::fill(row.begin(), row.end(), false);
  const Matrix r = standard.responsibilities(working.data);
  const Vector w = working.data.weights.size() ? working.data.weights : Vector::Ones(r.rows());
  double largest = 0;
  if (penalty.on != PenaltyTarget::experts) {
    const Vector share = r.transpose() * w / w.sum();
    for (Index k = 0; k + 1 < r.cols(); ++k) {
      const Vector g = w.array() * (r.col(k).array() - share(k));
      if (working.data.gate_inputs.cols() > 0)
        largest = std::max(largest, (working.data.gate_inputs.transpose() * g).cwiseAbs().maxCoeff());
    }
  }
  if (penalty.on != PenaltyTarget::gate && working.data.expert_inputs.cols() > 0)
    for (Index k = 0; k < r.cols(); ++k) {
      // One expert's rows as a problem of their own, all slopes held at zero: violation() is then the largest score.
      Data rows = working.data;
      rows.weights = w.cwiseProduct(r.col(k));
      MixtureModel one;
      one.gate = Gate(GateSpec{.kind = GateKind::softmax}, static_cast<int>(rows.gate_inputs.cols()), 1);
      one.experts = {standard.experts[static_cast<std::size_t>(k)]};
      const SlopeSupport held{{none.experts.front()}, {none.gate.front()}};
      const PenalisedEm intercepts(rows, one, PenaltyMass{}, held, working.sigma_floor);
      std::vector<double> history;
      intercepts.climb(one, 200, 1e-8, history);
      const SlopeSupport all;
      const PenalisedEm free(rows, one, PenaltyMass{}, all, working.sigma_floor);
      largest = std::max(largest, free.violation(one) * rows.weights.sum());
    }
  return largest / (working.weight * penalty.lasso_share());
}

std::vector<double> strengths_of(const Working& working, const PenaltyOptions& penalty, const MixtureModel& standard) {
  std::vector<double> strengths = penalty.strengths;
  if (strengths.empty()) {
    // Along the path noise levels are those of the slopes that are left, smaller than without slopes, which makes their
    // scores larger: raised until the climb really ends without slopes.
    double largest = largest_strength(working, penalty, standard);
    const SlopeSupport all;
    for (int raise = 0; raise < kMostRaises; ++raise, largest *= 1.5) {
      MixtureModel top = standard;
      const PenalisedEm em(working.data, working.prototype, mass_of(penalty, largest, working.weight), all,
                           working.sigma_floor);
      std::vector<double> history;
      em.climb(top, penalty.max_iterations, penalty.tolerance, history);
      if (penalised_slopes(top, penalty.on) == 0) break;
    }
    for (int i = 0; i < penalty.length; ++i)
      strengths.push_back(largest * std::pow(penalty.ratio, 1 - static_cast<double>(i) / (penalty.length - 1)));
  }
  std::sort(strengths.begin(), strengths.end());
  strengths.erase(std::unique(strengths.begin(), strengths.end()), strengths.end());
  return strengths;
}

/// The whole path. Upward, each strength from the one below and from the unpenalised solution; then downward, each from the
/// one above: the penalised likelihood has local maxima, and the better solution is kept, a spike at the noise floor only
/// where nothing else was found. At last what is left is refitted; where that runs into a spike, it stays as it is.
std::vector<PenalisedPoint> climb_path(const Data& data, const Working& working, const PenaltyOptions& penalty,
                                       const std::vector<double>& strengths, const MixtureModel& unpenalised) {
  struct Place {
    MixtureModel model;
    PenalisedPoint point;
  };
  const SlopeSupport all;
  std::vector<Place> places(strengths.size());
  const auto attempt = [&](std::size_t s, MixtureModel start) {
    PenalisedPoint point = fit_point(data, working, penalty, strengths[s], all, start);
    Place& place = places[s];
    if (!place.model.experts.empty()) {
      const bool better = point.objective > place.point.objective + kBetter * std::abs(place.point.objective);
      if (point.degenerate == place.point.degenerate ? !better : point.degenerate) return;
    }
    place = {std::move(start), std::move(point)};
  };
  for (std::size_t s = 0; s < strengths.size(); ++s) {
    attempt(s, unpenalised);
    if (s > 0) attempt(s, places[s - 1].model);
  }
  for (std::size_t s = strengths.size() - 1; s-- > 0;) attempt(s, places[s + 1].model);
  std::vector<PenalisedPoint> points;
  for (Place& place : places) {
    PenalisedPoint point = std::move(place.point);
    if (penalty.relax) {
      const SlopeSupport kept = support_of(place.model);
      PenalisedPoint relaxed = fit_point(data, working, penalty, 0.0, kept, place.model);
      if (relaxed.degenerate && !point.degenerate) {
        points.push_back(std::move(point));
        continue;
      }
      if (relaxed.converged || relaxed.log_likelihood >= point.log_likelihood) {
        relaxed.strength = point.strength;
        relaxed.objective = point.objective;
        relaxed.converged = point.converged && relaxed.converged;
        relaxed.iterations += point.iterations;
        relaxed.history = std::move(point.history);
        point = std::move(relaxed);
      }
    }
    points.push_back(std::move(point));
  }
  return points;
}

void validate(const Data& data, const FitOptions& options, const std::vector<double>& strengths, int folds,
              const std::function<void()>& done, PenalisedPath& path) {
  const std::vector<int> fold = cross_validation_folds(data.rows(), folds, options.seed, data.groups);
  Matrix scores = Matrix::Zero(data.rows(), static_cast<Index>(strengths.size()));
  parallel_for(static_cast<std::size_t>(folds), options.threads, [&](std::size_t f) {
    std::vector<Index> kept, held;
    for (Index i = 0; i < data.rows(); ++i)
      (fold[static_cast<std::size_t>(i)] == static_cast<int>(f) ? held : kept).push_back(i);
    const Data training = data.subset(kept);
    const Data test = data.subset(held);
    const Working working(training, options);
    const MixtureModel start = working.scaling.to_standard(path.unpenalised.model);
    const std::vector<PenalisedPoint> points = climb_path(training, working, path.penalty, strengths, start);
    for (std::size_t s = 0; s < points.size(); ++s) {
      const Vector score = predictive_scores(points[s].model, test).log_score;
      for (std::size_t i = 0; i < held.size(); ++i)
        scores(held[i], static_cast<Index>(s)) = score(static_cast<Index>(i));
    }
    done();
  });
  for (std::size_t s = 0; s < strengths.size(); ++s)
    path.points[s].log_score = mean_score(scores.col(static_cast<Index>(s)), data);
}

}  // namespace

bool penalty_applies(const FitOptions& options, const Data& data, std::string& reason) {
  const ExpertKind kind = options.expert.kind;
  if (kind != ExpertKind::linear && kind != ExpertKind::poisson && kind != ExpertKind::bernoulli &&
      kind != ExpertKind::binomial)
    reason = fmt::format("experts must be linear, poisson, bernoulli or binomial, not {}", enum_name(kind));
  else if (options.gate.kind != GateKind::softmax || options.gate.temperature != 1.0 || options.gate.top_k > 0 ||
           options.gate.transform != GateTransform::none)
    reason = "the gate must be softmax with temperature 1, of all experts and of the inputs as they are";
  else if (data.response.cols() > 1)
    reason = "the response must be one column";
  else if (options.expert.variance == VarianceKind::shared)
    reason = "noise levels must be separate";
  else if (options.noise != NoiseKind::none)
    reason = "there must be no noise component";
  else if (!data.groups.empty() || !data.labels.empty())
    reason = "repeated measures and labels are not supported";
  else
    return true;
  return false;
}

PenalisedPoint penalised_fit(const Data& data, const FitOptions& options, const PenaltyOptions& penalty,
                             double strength, const MixtureModel& start) {
  std::string reason;
  if (!penalty_applies(options, data, reason)) user_error("penalty: {}", reason);
  const Working working(data, options);
  MixtureModel standard = working.scaling.to_standard(start);
  const SlopeSupport all;
  return fit_point(data, working, penalty, strength, all, standard);
}

PenalisedPath penalised_path(const Data& data, const FitOptions& options, const PenaltyOptions& penalty, int folds,
                             const ProgressCallback& progress) {
  check_options(penalty);
  std::string reason;
  if (!penalty_applies(options, data, reason)) user_error("penalty: {}", reason);
  if (penalty.kind == PenaltyKind::none) user_error("penalty: 'none' has no path");
  PenalisedPath path;
  path.experts = options.experts;
  path.penalty = penalty;
  if (progress) progress(0.0, "without penalty");
  path.unpenalised = fit(data, options);
  const Working working(data, options);
  const MixtureModel standard = working.scaling.to_standard(path.unpenalised.model);
  const std::vector<double> strengths = strengths_of(working, penalty, standard);
  const double parts = 2.0 + std::max(0, folds);
  if (progress) progress(1 / parts, "path");
  path.points = climb_path(data, working, penalty, strengths, standard);
  if (folds > 1) {
    std::mutex mutex;
    double finished = 2;
    validate(
        data, options, strengths, folds,
        [&] {
          const std::lock_guard lock(mutex);
          if (progress) progress(++finished / parts, "cross-validation");
        },
        path);
    path.chosen_by_validation = true;
  }
  const auto loss = [&](const PenalisedPoint& point) {
    return path.chosen_by_validation ? -point.log_score.value : point.criteria.bic;
  };
  const auto rank = [](const PenalisedPoint& point) { return 2 * !point.degenerate + point.converged; };
  for (std::size_t s = 1; s < path.points.size(); ++s) {
    const PenalisedPoint &one = path.points[s], &best = path.points[path.chosen];
    if (rank(one) > rank(best) || (rank(one) == rank(best) && loss(one) < loss(best))) path.chosen = s;
  }
  return path;
}

FitResult as_fit_result(const PenalisedPath& path, const Data& data) {
  const PenalisedPoint& point = path.points[path.chosen];
  FitResult result = path.unpenalised;
  result.model = point.model;
  if (path.penalty.relax) result.model.constraints = zero_slopes(point);  // so that other commands keep them at 0
  result.log_likelihood = point.log_likelihood;
  result.degrees_of_freedom = point.degrees_of_freedom;
  result.aic = point.criteria.aic;
  result.bic = point.criteria.bic;
  result.icl = point.criteria.icl;
  result.entropy = (point.criteria.icl - point.criteria.bic) / 2;
  result.iterations = point.iterations;
  result.score = point.violation;
  result.converged = point.converged;
  result.reason = point.converged ? StopReason::converged : StopReason::iteration_limit;
  result.gate_separated = false;
  result.supremum_log_likelihood = result.degenerate_log_likelihood = std::numeric_limits<double>::quiet_NaN();
  const Matrix r = point.model.responsibilities(data);
  const Vector w = data.weights.size() ? data.weights : Vector::Ones(r.rows());
  result.shares = r.transpose() * w / w.sum();
  result.warnings = {fmt::format(
      "Inputs were chosen by a penalty ({}, strength {:.4g}{}): df counts what is not zero, and {}.",
      enum_name(path.penalty.kind), point.strength, path.chosen_by_validation ? ", by cross-validation" : ", by BIC",
      path.penalty.relax ? "slopes that are left were estimated without it" : "slopes are shrunk towards zero")};
  if (point.degenerate) {
    result.reason = StopReason::degenerate;
    result.warnings.emplace_back(
        "An expert sits at the noise floor (--sigma-floor) at every strength of the path: the likelihood has a spike "
        "there "
        "and no maximum. Use fewer experts or a higher floor.");
  }
  detail::warn_of_spurious_maximum(result);
  return result;
}

}  // namespace clearway
