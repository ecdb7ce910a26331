#include "clearway/stat/selection.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/stat/predictive_scores.hpp"
#include "warm_start.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr int kSweeps = 2;            // rounds of exchanging starts along k
constexpr double kSlack = 1e-6;       // log-likelihood by which a larger model may be below a smaller one
constexpr int kFoldIterations = 500;  // of a fit to a fold: predictions settle long before the last digits do
constexpr int kMostExperts = 1000;    // as of FitOptions

int whole_number(std::string_view text, const std::string& all) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    user_error("experts must be a range as 1:8, a list as 1,2,4 or a number, not '{}'", all);
  if (value < 1 || value > kMostExperts)
    user_error("experts must be at least 1 and at most {}, not {}", kMostExperts, value);
  return value;
}

/// Counts tasks that are done and tells the caller, one thread at a time.
class Progress {
 public:
  Progress(const ProgressCallback& callback, double tasks) : callback_(callback), tasks_(tasks) {}
  void done(double tasks, const std::string& what) {
    if (!callback_) return;
    const std::lock_guard lock(mutex_);
    finished_ += tasks;
    callback_(std::min(1.0, finished_ / tasks_), what);
  }

 private:
  const ProgressCallback& callback_;
  double tasks_;
  double finished_ = 0;
  std::mutex mutex_;
};

class Selector {
 public:
  Selector(const std::vector<CandidateFamily>& families, const SelectionOptions& options,
           const ProgressCallback& progress)
      : options_(options),
        numbers_(expert_numbers(options.experts)),
        progress_(progress, work(families.size(), numbers_.size(), options)) {
    result_.families = families;
    check();
    result_.rows = families.front().data->rows();
    for (std::size_t f = 0; f < families.size(); ++f)
      for (const int k : numbers_) {
        if (k < static_cast<int>(families[f].kinds.size()))
          continue;                                     // an expert of each kind, or it is another family
        if (k == 1 && same_expert_before(f)) continue;  // with one expert all gates are the same model
        Candidate candidate;
        candidate.family = f;
        candidate.experts = k;
        result_.candidates.push_back(std::move(candidate));
      }
    if (result_.candidates.empty()) user_error("experts: {} is too few for an expert of each kind", options.experts);
  }

  SelectionResult run() {
    first_fits();
    // With labels experts have names: neither splitting nor merging means anything.
    if (options_.warm_starts && result_.families.front().data->labels.empty())
      for (int sweep = 0; sweep < kSweeps; ++sweep)
        if (!exchange()) break;
    if (result_.families.front().data->labels.empty()) make_monotone();
    for (Candidate& candidate : result_.candidates) set_criteria(candidate);
    if (options_.folds > 0) validate();
    slope_heuristics();
    dendrogram();
    detail::recommend(result_, options_.criterion);
    return std::move(result_);
  }

 private:
  static double work(std::size_t families, std::size_t numbers, const SelectionOptions& options) {
    const auto candidates = static_cast<double>(families * numbers);
    return candidates * (1 + (options.warm_starts ? 0.5 : 0.0) + 0.2 * options.folds);
  }

  bool same_expert_before(std::size_t family) const {
    for (std::size_t f = 0; f < family; ++f)
      if (result_.families[f].kinds.empty() && result_.families[f].expert.kind == result_.families[family].expert.kind)
        return true;
    return false;
  }

  void check() const {
    if (result_.families.empty()) user_error("selection needs at least one kind of gate and of expert");
    const CandidateFamily& first = result_.families.front();
    for (const CandidateFamily& family : result_.families) {
      const std::vector<ExpertKind> kinds = family.kinds.empty() ? std::vector{family.expert.kind} : family.kinds;
      for (const ExpertKind kind : kinds)
        if (result_.families.size() > 1 && is_discrete(kind) != is_discrete(first.expert.kind))
          user_error("likelihoods of {} and {} experts cannot be compared: one is of real numbers, the other of counts",
                     kinds_name(first), kinds_name(family));
      if (family.data->rows() != first.data->rows())
        user_error("all candidates must see the same rows: {} for the {}, {} for the {}", first.data->rows(),
                   family_name(first), family.data->rows(), family_name(family));
    }
    if (options_.folds == 1 || options_.folds > first.data->rows())
      user_error("folds must be 0 (no cross-validation) or from 2 to the number of rows ({}), not {}",
                 first.data->rows(), options_.folds);
  }

  FitOptions fit_options(const Candidate& candidate) const {
    FitOptions options = options_.fit;
    options.experts = candidate.experts;
    options.gate = result_.families[candidate.family].gate;
    options.expert = result_.families[candidate.family].expert;
    options.expert_kinds = result_.families[candidate.family].kinds_of(candidate.experts);
    return options;
  }
  const Data& data(const Candidate& candidate) const { return *result_.families[candidate.family].data; }

  /// A fit from one given start and one start of its own: enough to carry the given one to its optimum.
  FitOptions warm_options(const Candidate& candidate) const {
    FitOptions options = fit_options(candidate);
    options.starts = 1;
    options.polished = 2;
    if (options.method == FitMethod::spectral) options.method = FitMethod::em;
    return options;
  }

  std::string name(const Candidate& candidate) const {
    return fmt::format("{} experts, {}", candidate.experts, family_name(result_.families[candidate.family]));
  }

  // Large candidates first, so that no thread is left with the largest at the end. A task's result does not depend on
  // which thread runs it.
  void first_fits() {
    std::vector<std::size_t> order(result_.candidates.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return result_.candidates[a].experts > result_.candidates[b].experts;
    });
    parallel_for(order.size(), options_.fit.threads, [&](std::size_t i) {
      Candidate& candidate = result_.candidates[order[i]];
      try {
        candidate.fit = fit(data(candidate), fit_options(candidate));
      } catch (const std::runtime_error& error) {  // no start gave a finite likelihood
        candidate.excluded = error.what();
      }
      progress_.done(1, name(candidate));
    });
  }

  static bool is_fitted(const Candidate& candidate) { return candidate.fit.reason != StopReason::not_fitted; }

  /// The fitted neighbour with one expert fewer (step -1) or more (+1), or null.
  const Candidate* neighbour(const Candidate& candidate, int step) const {
    for (const Candidate& other : result_.candidates)
      if (other.family == candidate.family && other.experts == candidate.experts + step && is_fitted(other))
        return &other;
    return nullptr;
  }

  // All candidates start from their neighbours at once (from the solutions before this round), so that the result does
  // not depend on the order. Whether anything improved.
  bool exchange() {
    struct Found {
      std::optional<FitResult> fit;
      CandidateStart start = CandidateStart::own;
    };
    std::vector<Found> found(result_.candidates.size());
    parallel_for(found.size(), options_.fit.threads, [&](std::size_t i) {
      const Candidate& candidate = result_.candidates[i];
      double best = candidate.attained();
      for (const int step : {-1, +1}) {
        const Candidate* other = neighbour(candidate, step);
        if (!other || candidate.experts == 1) continue;
        const auto start = step < 0 ? detail::split_start(data(candidate), fit_options(candidate), other->fit.model)
                                    : detail::merge_start(data(candidate), fit_options(candidate), other->fit.model);
        if (!start) continue;
        Candidate trial = candidate;
        trial.fit = fit(data(candidate), warm_options(candidate), &*start);
        const bool regular = trial.fit.reason != StopReason::degenerate;
        if (!regular || (trial.attained() <= best + 1e-7 * std::abs(best) && !rescued(candidate, trial))) continue;
        best = trial.attained();
        found[i] = {std::move(trial.fit), step < 0 ? CandidateStart::split : CandidateStart::merge};
      }
      progress_.done(0.5 / kSweeps, "starts from neighbours");
    });
    bool improved = false;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i].fit) continue;
      replace(result_.candidates[i], std::move(*found[i].fit), found[i].start);
      improved = true;
    }
    return improved;
  }

  /// Whether the trial ends where the candidate did but converged, or is regular where the candidate is degenerate.
  static bool rescued(const Candidate& candidate, const Candidate& trial) {
    if (!is_fitted(candidate) || candidate.fit.reason == StopReason::degenerate) return true;
    return !candidate.fit.converged && trial.fit.converged &&
           trial.attained() > candidate.attained() - kSlack * std::max(1.0, std::abs(candidate.attained()));
  }

  static void replace(Candidate& candidate, FitResult&& better, CandidateStart start) {
    better.starts += candidate.fit.starts;
    better.starts_polished += candidate.fit.starts_polished;
    candidate.fit = std::move(better);
    candidate.start = start;
    candidate.excluded.clear();
  }

  // From few experts to many: a model that ended below the one with an expert fewer is fitted again from that one.
  void make_monotone() {
    for (Candidate& candidate : result_.candidates) {
      const Candidate* smaller = neighbour(candidate, -1);
      if (!smaller || smaller->fit.reason == StopReason::degenerate) continue;
      const auto fell = [&] { return !(candidate.attained() >= smaller->attained() - kSlack); };
      if (!fell() && candidate.fit.reason != StopReason::degenerate) continue;
      const auto attempt = [&](const std::optional<MixtureModel>& start, CandidateStart kind) {
        if (!start) return;
        Candidate trial = candidate;
        trial.fit = fit(data(candidate), warm_options(candidate), &*start);
        if (trial.fit.reason == StopReason::degenerate) return;
        if (candidate.fit.reason != StopReason::degenerate && trial.attained() <= candidate.attained()) return;
        ++result_.monotone_repairs;
        replace(candidate, std::move(trial.fit), kind);
      };
      attempt(detail::split_start(data(candidate), fit_options(candidate), smaller->fit.model), CandidateStart::split);
      if (fell()) attempt(detail::duplicated_start(fit_options(candidate), smaller->fit.model), CandidateStart::nested);
      if (fell())
        result_.warnings.push_back(fmt::format(
            "With {} the log-likelihood {:.4f} is below the {:.4f} of one expert fewer: the search has missed its "
            "optimum; raise --max-starts.",
            name(candidate), candidate.attained(), smaller->attained()));
    }
  }

  void set_criteria(Candidate& candidate) const {
    if (!is_fitted(candidate)) return;
    const FitResult& fit = candidate.fit;
    candidate.criteria =
        information_criteria(candidate.attained(), fit.degrees_of_freedom, fit.effective_rows, fit.entropy);
    const int coefficients = static_cast<int>(
        std::min(data(candidate).expert_inputs.cols() + 1, fit.model.experts.front().parameters().size()));
    if (fit.reason == StopReason::degenerate)
      candidate.excluded = "an expert sits at the noise floor, a spike of the likelihood";
    else if (!fit.converged)
      candidate.excluded = fmt::format("the fit did not converge ({})", enum_name(fit.reason));
    else if (fit.degrees_of_freedom >= fit.effective_rows)
      candidate.excluded = fmt::format("{} parameters for {:g} rows", fit.degrees_of_freedom, fit.effective_rows);
    for (int j = 0; j < candidate.experts && candidate.excluded.empty(); ++j)
      if (candidate.experts > 1 && fit.shares(j) * fit.effective_rows < coefficients)
        candidate.excluded = fmt::format("expert {} has {:.2g} rows for {} coefficients", j + 1,
                                         fit.shares(j) * fit.effective_rows, coefficients);
  }

  void validate() {
    const std::vector<int> folds =
        cross_validation_folds(result_.rows, options_.folds, options_.fit.seed, result_.families.front().data->groups);
    for (Candidate& candidate : result_.candidates) {
      candidate.validation.folds = options_.folds;
      candidate.validation.log_scores = Vector::Zero(result_.rows);
      candidate.validation.squared_errors = candidate.validation.crps_scores = candidate.validation.log_scores;
    }
    const auto count = static_cast<std::size_t>(options_.folds);
    std::vector<std::string> failures(result_.candidates.size() * count);
    parallel_for(failures.size(), options_.fit.threads, [&](std::size_t task) {
      const std::size_t at = result_.candidates.size() - 1 - task / count;
      Candidate& candidate = result_.candidates[at];
      if (!is_fitted(candidate)) return;
      FitOptions options = warm_options(candidate);
      options.starts = options_.fold_starts;
      options.max_iterations = std::min(options.max_iterations, kFoldIterations);
      try {
        cross_validate_fold(data(candidate), options, candidate.fit.model, folds, static_cast<int>(task % count),
                            candidate.validation);
      } catch (const std::exception& error) {  // a fold may lack what all rows have: a class, a second value
        failures[task] = error.what();
      }
      progress_.done(0.2, "cross-validation");
    });
    for (std::size_t task = 0; task < failures.size(); ++task) {
      Candidate& candidate = result_.candidates[result_.candidates.size() - 1 - task / count];
      if (failures[task].empty() || candidate.validation.folds == 0) continue;
      candidate.validation = CrossValidation{};
      result_.warnings.push_back(
          fmt::format("No cross-validation for {}: a fold could not be fitted ({}).", name(candidate), failures[task]));
    }
    for (Candidate& candidate : result_.candidates) {
      if (!is_fitted(candidate)) candidate.validation = CrossValidation{};
      if (candidate.validation.folds > 0) finish_cross_validation(data(candidate), candidate.validation);
    }
  }

  // Within one family only: the slope is that of models that are nested in each other.
  void slope_heuristics() {
    if (result_.families.size() > 1) return;
    std::vector<double> likelihoods, sizes;
    for (const Candidate& candidate : result_.candidates) {
      if (!candidate.excluded.empty()) continue;
      likelihoods.push_back(candidate.attained());
      sizes.push_back(candidate.fit.degrees_of_freedom);
    }
    result_.kappa = likelihood_slope(likelihoods, sizes);
    for (Candidate& candidate : result_.candidates)
      candidate.slope_criterion = -2 * candidate.attained() + 4 * result_.kappa * candidate.fit.degrees_of_freedom;
  }

  // From the largest usable model of the first family that has the form.
  void dendrogram() {
    const Data& first = *result_.families.front().data;
    if (!first.groups.empty() || !first.labels.empty()) {
      result_.no_dendrogram = "it is not defined for repeated measures and known experts";
      return;
    }
    const Candidate* largest = nullptr;
    std::string reason = "no candidate could be used";
    for (const Candidate& candidate : result_.candidates) {
      if (largest && candidate.family != largest->family) break;
      if (candidate.excluded.empty() && dendrogram_applies(candidate.fit.model, reason)) largest = &candidate;
    }
    if (!largest) {
      result_.no_dendrogram = reason;
      return;
    }
    result_.dendrogram = model_dendrogram(largest->fit.model, data(*largest), options_.dendrogram);
    result_.dendrogram_family = largest->family;
    for (Candidate& candidate : result_.candidates) {
      const auto top = static_cast<int>(result_.dendrogram->levels.size());
      const int level = top - candidate.experts;
      if (candidate.family == result_.dendrogram_family && level >= 0 && candidate.experts >= 2)
        candidate.dendrogram_criterion = result_.dendrogram->criterion[static_cast<std::size_t>(level)];
    }
  }

  const SelectionOptions& options_;
  std::vector<int> numbers_;
  Progress progress_;
  SelectionResult result_;
};

}  // namespace

std::vector<int> expert_numbers(const std::string& text) {
  std::vector<int> numbers;
  const std::size_t colon = text.find(':');
  if (colon != std::string::npos) {
    const std::string_view all(text);
    const int first = whole_number(all.substr(0, colon), text);
    const int last = whole_number(all.substr(colon + 1), text);
    if (first > last) user_error("experts: the range {} begins above its end", text);
    for (int k = first; k <= last; ++k) numbers.push_back(k);
    return numbers;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    numbers.push_back(whole_number(std::string_view(text).substr(begin, comma - begin), text));
    begin = comma + 1;
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::vector<ExpertKind> expert_kinds(const std::string& text) {
  std::vector<ExpertKind> kinds;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t plus = std::min(text.find('+', begin), text.size());
    const ExpertKind kind = enum_value<ExpertKind>("expert", text.substr(begin, plus - begin));
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end())
      user_error("expert: '{}' lists {} twice; the kinds are dealt to the experts in turn", text, enum_name(kind));
    kinds.push_back(kind);
    begin = plus + 1;
  }
  return kinds;
}

std::vector<ExpertKind> CandidateFamily::kinds_of(int experts) const {
  std::vector<ExpertKind> all;
  if (kinds.size() > 1)
    for (int k = 0; k < experts; ++k) all.push_back(kinds[static_cast<std::size_t>(k) % kinds.size()]);
  return all;
}

double Candidate::attained() const {
  if (fit.gate_separated && !std::isnan(fit.supremum_log_likelihood))
    return std::max(fit.log_likelihood, fit.supremum_log_likelihood);
  return fit.log_likelihood;
}

double Candidate::value(SelectionCriterion criterion) const {
  switch (criterion) {
    case SelectionCriterion::bic:
      return criteria.bic;
    case SelectionCriterion::aic:
      return criteria.aic;
    case SelectionCriterion::aicc:
      return criteria.aicc;
    case SelectionCriterion::sabic:
      return criteria.sabic;
    case SelectionCriterion::icl:
      return criteria.icl;
    case SelectionCriterion::log_score:
      return -validation.log_score.value;
    case SelectionCriterion::rmse:
      return validation.rmse.value;
    case SelectionCriterion::crps:
      return validation.crps.value;
    case SelectionCriterion::slope:
      return slope_criterion;
    case SelectionCriterion::dendrogram:
      return dendrogram_criterion;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

SelectionResult select_model(const std::vector<CandidateFamily>& families, const SelectionOptions& options,
                             const ProgressCallback& progress) {
  check_options(options);
  return Selector(families, options, progress).run();
}

}  // namespace clearway
