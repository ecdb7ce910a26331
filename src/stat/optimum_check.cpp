#include "clearway/stat/optimum_check.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/random.hpp"
#include "local_likelihood.hpp"
#include "refit.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr int kClimbSteps = 20;
constexpr double kSameOptimum = 1e-6;

// EM from a point some standard errors away must never lower the log-likelihood.
void climb(const detail::LocalLikelihood& local, std::int64_t seed, OptimumCheck& check) {
  RandomStream stream(static_cast<std::uint64_t>(seed), 0);
  const Vector errors = local.covariance().diagonal().cwiseMax(0).cwiseSqrt();
  Vector direction = Vector::Zero(errors.size());
  for (const Index i : local.active()) direction(i) = stream.normal();
  if (!(direction.norm() > 0)) return;
  const Vector away = local.free() + 2 * direction.normalized().cwiseProduct(errors.cwiseMin(1.0));
  MixtureModel model = local.model();
  detail::EmEngine& engine = local.engine();
  engine.map().unpack(away, model);
  engine.reset();
  double before = engine.objective(model);
  for (check.climb_steps = 0; check.climb_steps < kClimbSteps; ++check.climb_steps) {
    engine.step(model);
    const double now = engine.objective(model);
    check.climb_drop = std::max(check.climb_drop, before - now);
    before = now;
  }
}

}  // namespace

OptimumCheck check_optimum(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                           std::int64_t seed) {
  const detail::LocalLikelihood local(data, model, fitted_with);
  detail::EmEngine& engine = local.engine();
  OptimumCheck check;
  check.log_likelihood = model.log_likelihood(data);
  check.mean_score = local.mean_score();
  check.least_eigenvalue = local.least_eigenvalue();
  check.condition = local.condition();
  check.flat = local.flat();
  check.parameters = static_cast<int>(local.free().size());
  check.at_bounds = check.parameters - static_cast<int>(local.active().size());
  const Vector unit = local.information().diagonal().cwiseAbs().cwiseMax(1e-300).cwiseSqrt();
  MixtureModel moved = local.model();
  for (const Index i : local.active()) {
    const double h = 1e-5 * std::max(1.0, std::abs(local.free()(i)));
    Vector up = local.free(), down = local.free(), high, low;
    up(i) += h;
    down(i) -= h;
    engine.map().unpack(up, moved);
    const double above = engine.derivatives(moved, high, nullptr);
    engine.map().unpack(down, moved);
    const double below = engine.derivatives(moved, low, nullptr);
    const double step = up(i) - down(i);
    check.score_difference =
        std::max(check.score_difference, std::abs((above - below) / step - local.score()(i)) / unit(i));
    for (const Index j : local.active())
      check.information_difference =
          std::max(check.information_difference,
                   std::abs((low(j) - high(j)) / step - local.information()(i, j)) / (unit(i) * unit(j)));
  }
  climb(local, seed, check);
  return check;
}

std::vector<OptimumGroup> optimum_map(const std::vector<StartRecord>& records) {
  std::vector<OptimumGroup> groups;
  std::vector<const StartRecord*> ended;
  for (const StartRecord& record : records)
    if (std::isfinite(record.log_likelihood)) ended.push_back(&record);
  std::stable_sort(ended.begin(), ended.end(),
                   [](const StartRecord* a, const StartRecord* b) { return a->log_likelihood > b->log_likelihood; });
  for (const StartRecord* record : ended) {
    const double tolerance = kSameOptimum * std::max(1.0, std::abs(record->log_likelihood));
    if (groups.empty() || groups.back().degenerate != record->degenerate ||
        groups.back().log_likelihood - record->log_likelihood > tolerance)
      groups.push_back({record->log_likelihood, 0, record->degenerate});
    ++groups.back().starts;
  }
  return groups;
}

std::vector<OptimumGroup> optimum_map(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                                      int starts, std::int64_t seed, int threads) {
  FitOptions options = detail::refit_options(model, fitted_with, starts, seed);
  options.polished = starts;
  options.threads = threads;
  return optimum_map(fit(data, options, &model).start_records);
}

}  // namespace clearway
