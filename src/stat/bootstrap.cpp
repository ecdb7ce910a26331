#include "clearway/stat/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/stat/membership_alignment.hpp"
#include "local_likelihood.hpp"
#include "refit.hpp"
#include "sampling_units.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// Whether the start given by the caller ended at the best of the regular optima.
bool original_start_won(const FitResult& result) {
  double best = -std::numeric_limits<double>::infinity(), given = best;
  for (const StartRecord& record : result.start_records) {
    if (record.degenerate || !std::isfinite(record.log_likelihood)) continue;
    best = std::max(best, record.log_likelihood);
    if (record.kind == StartKind::user) given = record.log_likelihood;
  }
  return given >= best - 1e-6 * std::max(1.0, std::abs(best));
}

class Bootstrap {
 public:
  Bootstrap(const Data& data, const MixtureModel& model, const FitOptions& fitted_with, const BootstrapOptions& options,
            const BootstrapExtras& extras)
      : data_(data),
        model_(model),
        fitted_with_(fitted_with),
        options_(options),
        extras_(extras),
        units_(unit_numbers(data, options, extras), data.rows()) {
    check_options(options);
    data.check(model.experts.front().spec().kind);
    if (units_.size() < 2) user_error("a bootstrap needs at least 2 rows or clusters to draw from");
    memberships_ = model.responsibilities(data).leftCols(model.expert_count());
    box_ = detail::noise_box(model, data);
  }

  const detail::SamplingUnits& units() const { return units_; }

  std::vector<BootstrapReplication> run() const {
    std::vector<BootstrapReplication> replications(static_cast<std::size_t>(options_.replications));
    std::mutex lock;
    int done = 0;
    bool stopped = false;
    parallel_for(replications.size(), options_.threads, [&](std::size_t i) {
      {
        const std::lock_guard guard(lock);
        stopped = stopped || (extras_.stop && extras_.stop());
        if (stopped) return;
      }
      replications[i] = replicate(i);
      const std::lock_guard guard(lock);
      ++done;
      if (extras_.progress)
        extras_.progress(static_cast<double>(done) / options_.replications,
                         fmt::format("replication {} of {}", done, options_.replications));
    });
    return replications;
  }

 private:
  // Clusters of the caller, else the groups of repeated measures, else rows.
  static const std::vector<int>& unit_numbers(const Data& data, const BootstrapOptions& options,
                                              const BootstrapExtras& extras) {
    if (extras.clusters.empty()) return data.groups;
    if (static_cast<Index>(extras.clusters.size()) != data.rows())
      user_error("there are {} cluster numbers for {} rows", extras.clusters.size(), data.rows());
    if (options.kind == BootstrapKind::parametric)
      user_error("clusters need kind rows or weights: a parametric bootstrap draws rows by the model");
    return extras.clusters;
  }

  Data resample(RandomStream& stream) const {
    Data sample;
    switch (options_.kind) {
      case BootstrapKind::parametric:
        sample = data_;
        sample.response = simulate(model_, data_, stream, box_).response;
        break;
      case BootstrapKind::rows: {
        std::vector<Index> rows;
        std::vector<int> groups;  // a group drawn twice is two groups
        int next_group = 0;
        for (std::size_t i = 0; i < units_.size(); ++i) {
          const std::vector<Index>& unit = units_.rows[stream.index(units_.size())];
          rows.insert(rows.end(), unit.begin(), unit.end());
          std::map<int, int> fresh;
          for (const Index t : unit) {
            if (data_.groups.empty()) break;
            const int group = data_.groups[static_cast<std::size_t>(t)];
            groups.push_back(fresh.try_emplace(group, next_group + static_cast<int>(fresh.size())).first->second);
          }
          next_group += static_cast<int>(fresh.size());
        }
        sample = data_.subset(rows);
        sample.groups = std::move(groups);
        break;
      }
      case BootstrapKind::weights: {
        sample = data_;
        Vector weights(data_.rows());
        for (const std::vector<Index>& unit : units_.rows) weights(unit).setConstant(stream.exponential());
        const double total = data_.weights.size() ? data_.weights.sum() : static_cast<double>(data_.rows());
        if (data_.weights.size()) weights.array() *= data_.weights.array();
        sample.weights = weights * (total / weights.sum());
        break;
      }
    }
    return sample;
  }

  BootstrapReplication replicate(std::size_t number) const {
    BootstrapReplication replication;
    replication.done = true;
    RandomStream stream(static_cast<std::uint64_t>(options_.seed), number);
    try {
      const Data sample = resample(stream);
      const auto fit_seed = static_cast<std::int64_t>(stream.index(std::uint64_t{1} << 62));
      const FitResult result =
          fit(sample, detail::refit_options(model_, fitted_with_, options_.data_starts, fit_seed), &model_);
      replication.converged = result.converged;
      replication.degenerate = result.reason == StopReason::degenerate;
      replication.separated = result.gate_separated;
      replication.from_original = original_start_won(result);
      replication.log_likelihood = result.log_likelihood;
      const Matrix memberships = result.model.responsibilities(data_).leftCols(model_.expert_count());
      const MembershipAlignment alignment =
          align_memberships(memberships, memberships_, data_.weights, possible_parts(result.model, model_));
      replication.agreement = alignment.agreement;
      replication.ambiguous = alignment.ambiguous;
      const MixtureModel aligned = result.model.permuted(alignment.order);
      replication.values = model_values(aligned);
      if (extras_.new_rows) replication.predictions = aligned.mean(*extras_.new_rows).reshaped();
      if (!replication.values.allFinite() || !std::isfinite(replication.log_likelihood))
        replication.failure = "an estimate is not finite";
    } catch (const std::exception& error) {
      replication.failure = error.what();
    }
    return replication;
  }

  const Data& data_;
  const MixtureModel& model_;
  const FitOptions& fitted_with_;
  const BootstrapOptions& options_;
  const BootstrapExtras& extras_;
  detail::SamplingUnits units_;
  Matrix memberships_;
  NoiseBox box_;
};

// The influence of the sampling units on every number (units x numbers), for BCa, and the Wald standard errors.
struct FirstOrder {
  Matrix influence;
  Vector wald_errors;
};

FirstOrder first_order(const detail::LocalLikelihood& local, const Matrix& row_scores,
                       const std::function<Vector(const MixtureModel&)>& numbers) {
  const Matrix jacobian = local.jacobian(numbers);
  const Matrix step = local.covariance() * jacobian.transpose();
  FirstOrder result;
  result.influence = row_scores * step;
  result.wald_errors = jacobian.cwiseProduct(step.transpose()).rowwise().sum().cwiseMax(0).cwiseSqrt();
  const Expert& first = local.model().experts.front();
  const bool conditional = first.responses() > 1 && is_parsimonious(first.spec().covariance);  // on the covariances
  if (local.flat() || conditional) result.wald_errors.setConstant(std::numeric_limits<double>::quiet_NaN());
  return result;
}

std::vector<BootstrapEstimate> estimates(const Vector& original, const FirstOrder& first, const BootstrapResult& result,
                                         Vector BootstrapReplication::*member) {
  std::vector<BootstrapEstimate> all;
  for (Index i = 0; i < original.size(); ++i) {
    std::vector<double> draws;
    double sum = 0;
    for (const BootstrapReplication& replication : result.replications)
      if (replication.used()) {
        draws.push_back((replication.*member)(i));
        sum += draws.back();
      }
    BootstrapEstimate estimate;
    estimate.estimate = original(i);
    estimate.wald_error = first.wald_errors(i);
    if (draws.size() >= 2) {
      const double mean = sum / static_cast<double>(draws.size());
      double squares = 0;
      for (const double draw : draws) squares += (draw - mean) * (draw - mean);
      estimate.bias = mean - original(i);
      estimate.standard_error = std::sqrt(squares / static_cast<double>(draws.size() - 1));
    }
    const Vector influence = first.influence.col(i);
    const double acceleration = bca_acceleration({influence.data(), static_cast<std::size_t>(influence.size())});
    estimate.interval =
        bootstrap_interval(result.options.interval, result.options.level, original(i), std::move(draws), acceleration);
    all.push_back(estimate);
  }
  return all;
}

void warn(BootstrapResult& result, const Data& data, bool flat) {
  auto& warnings = result.warnings;
  const int used = result.count([](const BootstrapReplication& r) { return r.used(); });
  const auto share_above = [&](double share, const std::function<bool(const BootstrapReplication&)>& which) {
    return used > 0 && result.count(which) > share * used;
  };
  if (used < 2) warnings.emplace_back("Fewer than two replications could be used: there are no standard errors.");
  if (flat)
    warnings.emplace_back(
        "The information is singular at the estimate: some direction is not identified, Wald standard errors do not "
        "exist, and bootstrap intervals of the parameters have no guaranteed coverage.");
  constexpr double kOften = 0.1;
  if (share_above(kOften, [](const BootstrapReplication& r) { return r.used() && r.ambiguous; }))
    warnings.emplace_back(
        "In more than 10 % of the replications the experts could not be told apart clearly: intervals of single "
        "parameters mix experts; those of predictions do not.");
  if (share_above(kOften, [](const BootstrapReplication& r) { return r.degenerate; }))
    warnings.emplace_back(
        "More than 10 % of the replications ended at the noise floor and were left out: intervals are too short.");
  if (share_above(kOften, [](const BootstrapReplication& r) { return r.used() && r.separated; }))
    warnings.emplace_back(
        "In more than 10 % of the replications the gate separated the data: its coefficients were held by the weak "
        "ridge, and their intervals depend on it.");
  const double tail = (1 - result.options.level) / 2;
  if (result.options.interval != IntervalKind::normal && used >= 2 && (used + 1) * tail < 1)
    warnings.push_back(
        fmt::format("{} replications are too few for a {:g} % interval by quantiles: its ends are the "
                    "smallest and the largest.",
                    used, 100 * result.options.level));
  if (result.options.kind == BootstrapKind::parametric && data.weights.size() > 0)
    warnings.emplace_back(
        "A parametric bootstrap draws one response for a row whatever its weight: with weights that count repeated "
        "rows, standard errors come out too large.");
}

}  // namespace

int BootstrapResult::count(const std::function<bool(const BootstrapReplication&)>& which) const {
  return static_cast<int>(std::count_if(replications.begin(), replications.end(), which));
}

bool BootstrapResult::stopped_early() const {
  return count([](const BootstrapReplication& r) { return r.done; }) < static_cast<int>(replications.size());
}

BootstrapResult bootstrap(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                          const BootstrapOptions& options, const ModelNames& names, const BootstrapExtras& extras) {
  const Bootstrap replicator(data, model, fitted_with, options, extras);
  BootstrapResult result;
  result.options = options;
  result.rows = data.rows();
  const bool clustered = !extras.clusters.empty() || !data.groups.empty();
  result.clusters = clustered ? static_cast<Index>(replicator.units().size()) : 0;
  result.names = model_value_names(model, names);
  result.replications = replicator.run();

  const detail::LocalLikelihood local(data, model, fitted_with);
  const Matrix scores = replicator.units().sums(local.row_scores(data));
  result.values =
      estimates(model_values(model), first_order(local, scores, model_values), result, &BootstrapReplication::values);
  const std::vector<bool> fixed = fixed_values(model);
  for (std::size_t i = 0; i < fixed.size(); ++i)
    if (fixed[i]) {
      BootstrapEstimate held;
      held.estimate = result.values[i].estimate;
      held.fixed = true;
      result.values[i] = held;
    }
  if (extras.new_rows) {
    const auto means = [&](const MixtureModel& m) { return Vector(m.mean(*extras.new_rows).reshaped()); };
    const Vector original = means(model);
    result.prediction_columns =
        extras.new_rows->rows() > 0 ? original.size() / extras.new_rows->expert_inputs.rows() : 0;
    result.predictions =
        estimates(original, first_order(local, scores, means), result, &BootstrapReplication::predictions);
  }
  warn(result, data, local.flat());
  return result;
}

}  // namespace clearway
