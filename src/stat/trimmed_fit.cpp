#include "trimmed_fit.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "refit.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kHalves = 8;      // starts from random halves of the rows
constexpr int kFirstSteps = 2;  // concentration steps before the starts are compared (Rousseeuw and Van Driessen 1999)
constexpr int kFinalists = 2;
constexpr int kMostSteps = 100;

struct Kept {
  std::vector<Index> rows;  // increasing
  double objective = -std::numeric_limits<double>::infinity();
};

// The rows explained best, 1 - trim of the weight of all.
Kept best_rows(const MixtureModel& model, const Data& data, double trim) {
  const Matrix joint = model.joint_log_density(data);
  const Vector top = joint.rowwise().maxCoeff();
  const Vector density = top.array() + (joint.colwise() - top).array().exp().rowwise().sum().log();
  const Vector w = data.weights.size() ? Vector(data.weights) : Vector::Ones(data.rows());
  std::vector<Index> order(static_cast<std::size_t>(data.rows()));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return density(a) > density(b); });
  Kept kept;
  kept.objective = 0;
  const double wanted = (1 - trim) * w.sum();
  double weight = 0;
  for (const Index t : order) {
    if (weight >= wanted - 1e-9 * wanted) break;
    kept.rows.push_back(t);
    kept.objective += w(t) * density(t);
    weight += w(t);
  }
  std::sort(kept.rows.begin(), kept.rows.end());
  return kept;
}

struct Candidate {
  MixtureModel model;
  Kept kept;
  bool settled = false;
};

// Concentration steps until the rows stay or `most` are made.
void concentrate(Candidate& candidate, const Data& data, const FitOptions& plain, double trim, int most) {
  for (int step = 0; step < most && !candidate.settled; ++step) {
    const FitOptions refit = refit_options(candidate.model, plain, 1, plain.seed);
    const MixtureModel next = fit(data.subset(candidate.kept.rows), refit, &candidate.model).model;
    Kept kept = best_rows(next, data, trim);
    candidate.settled = kept.rows == candidate.kept.rows;
    if (kept.objective < candidate.kept.objective) {  // another optimum of the fit, and a worse one
      candidate.settled = true;
      return;
    }
    candidate.model = next;
    candidate.kept = std::move(kept);
  }
}

}  // namespace

FitResult trimmed_fit(const Data& data, const FitOptions& options, const MixtureModel* user_start,
                      const ProgressCallback& progress) {
  const auto begin = std::chrono::steady_clock::now();
  check_options(options);
  if (!data.groups.empty()) user_error("trim leaves out single rows and does not go with repeated measures");
  FitOptions plain = options;
  plain.trim = 0;
  const auto report = [&](double fraction, const char* what) {
    if (progress) progress(fraction, what);
  };
  report(0.0, "all rows");
  std::vector<Candidate> candidates(1 + kHalves);
  candidates[0].model = fit(data, plain, user_start).model;
  report(0.3, "random halves");
  parallel_for(candidates.size(), options.threads, [&](std::size_t i) {
    Candidate& candidate = candidates[i];
    try {
      if (i > 0) {
        RandomStream stream(static_cast<std::uint64_t>(options.seed), i);
        std::vector<Index> rows;
        const auto n = static_cast<std::size_t>(data.rows());
        rows.reserve(n);
        for (const std::size_t t : stream.sample_without_replacement(n, (n + 1) / 2))
          rows.push_back(static_cast<Index>(t));
        const FitOptions half = refit_options(candidates[0].model, plain, 2, static_cast<std::int64_t>(i));
        candidate.model = fit(data.subset(rows), half).model;
      }
      candidate.kept = best_rows(candidate.model, data, options.trim);
      concentrate(candidate, data, plain, options.trim, kFirstSteps);
    } catch (const std::exception&) {
      if (i == 0) throw;
      candidate.kept.objective = -std::numeric_limits<double>::infinity();  // a half that cannot be fitted is no start
    }
  });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.kept.objective > b.kept.objective; });
  candidates.resize(kFinalists);
  report(0.7, "concentration");
  for (Candidate& candidate : candidates)
    if (std::isfinite(candidate.kept.objective)) concentrate(candidate, data, plain, options.trim, kMostSteps);
  const Candidate& winner =
      *std::max_element(candidates.begin(), candidates.end(),
                        [](const Candidate& a, const Candidate& b) { return a.kept.objective < b.kept.objective; });

  FitResult result = fit(data.subset(winner.kept.rows), plain, &winner.model);
  const Kept last = best_rows(result.model, data, options.trim);
  std::vector<bool> stays(static_cast<std::size_t>(data.rows()), false);
  for (const Index t : winner.kept.rows) stays[static_cast<std::size_t>(t)] = true;
  for (Index t = 0; t < data.rows(); ++t)
    if (!stays[static_cast<std::size_t>(t)]) result.trimmed_rows.push_back(t);
  const bool settled = last.rows == winner.kept.rows;
  result.converged = result.converged && settled;
  if (!settled) result.reason = StopReason::no_progress;
  result.warnings.push_back(fmt::format(
      "Trimmed likelihood: {} rows were left out, chosen by the fit itself; log-likelihood and criteria are "
      "those of the {} rows kept, and standard errors that ignore the choice are too small.",
      result.trimmed_rows.size(), winner.kept.rows.size()));
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace clearway::detail
