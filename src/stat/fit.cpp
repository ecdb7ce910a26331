#include "clearway/stat/fit.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "em_engine.hpp"
#include "nesting.hpp"
#include "optimise.hpp"
#include "starts.hpp"

namespace clearway {
namespace {

using detail::EmEngine;
using detail::EngineSettings;
using detail::OptimiseOutcome;
using detail::OptimiseSettings;
using detail::Scaling;
using detail::StartMaker;
using Eigen::Index;

constexpr int kBatch = 12;
constexpr int kScreeningIterations = 8;
constexpr double kOverlap = 0.25;  // normalised entropy of responsibilities from which experts overlap
constexpr int kReseedRounds = 2;
constexpr double kClearlyNested = 25.0;  // log-likelihood units by which a smaller model cannot catch up
constexpr double kAgreement = 1e-6;      // relative difference of log-likelihoods that counts as the same optimum
// Streams of randomness, so that no two uses share one.
constexpr std::uint64_t kSubsampleStream = 1, kSpectralStream = 2, kStartStream = 1000;

bool at_floor(const Expert& expert, double floor) {
  constexpr double kSlack = 1 + 1e-6;
  if (expert.has_sigma()) return expert.sigma() <= floor * kSlack;
  if (expert.responses() == 1) return false;
  const Matrix covariance = expert.covariance();
  return covariance.diagonal().minCoeff() <= floor * floor * kSlack * kSlack;
}

// One polished solution on the working scale.
struct Solution {
  MixtureModel model;
  OptimiseOutcome outcome;
  std::size_t start = 0;
  bool degenerate = false;
  double penalty = 0;  // part of the objective that is no likelihood (not positive)
};

class Fitter {
 public:
  Fitter(const Data& data, const FitOptions& options, const ProgressCallback& progress)
      : data_(data), options_(options), progress_(progress) {
    check();
    prototype_.gate = Gate(options.gate, static_cast<int>(data.gate_inputs.cols()), options.experts);
    prototype_.experts.assign(static_cast<std::size_t>(options.experts),
                              Expert(options.expert, static_cast<int>(data.expert_inputs.cols()),
                                     static_cast<int>(data.response.cols()), data.classes));
    scaling_ = Scaling(data, prototype_);
    settings_.threads = resolve_threads(options.threads);
    settings_.gate_ridge = options.gate_ridge;
    settings_.sigma_floor =
        options.sigma_floor * (scaling_.response_deviation.cwiseQuotient(scaling_.response_scale)).minCoeff();
    if (options.noise == NoiseKind::uniform) {
      prototype_.has_noise = true;
      prototype_.noise_weight = 0.05;
      double log_volume = 0;
      for (Index j = 0; j < data.response.cols(); ++j)
        log_volume +=
            std::log((data.response.col(j).maxCoeff() - data.response.col(j).minCoeff()) / scaling_.response_scale(j));
      prototype_.noise_log_density = -log_volume;
    }
    optimise_settings_ = {.max_iterations = options.max_iterations,
                          .tolerance = options.tolerance,
                          .acceleration = options.acceleration,
                          .newton = options.newton};
  }

  FitResult run(const MixtureModel* user_start) {
    const auto begin = std::chrono::steady_clock::now();
    if (user_start) add_user_start(*user_start);
    search();
    FitResult result = assemble();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

 private:
  void check() const {
    check_options(options_);
    data_.check(options_.expert.kind);
    const Index n = data_.rows();
    if (options_.experts > n)
      user_error("experts must be at most the number of rows: {} experts for {} rows", options_.experts, n);
    if (options_.expert.variance == VarianceKind::shared && !Expert(options_.expert, 0, 1, 2).has_sigma())
      user_error("variance 'shared' needs experts with a noise level, not {}", enum_name(options_.expert.kind));
    if (options_.expert.variance == VarianceKind::shared &&
        (options_.expert.kind == ExpertKind::student_t || data_.response.cols() > 1))
      user_error("variance 'shared' is for Gaussian experts of one response, not for {}",
                 data_.response.cols() > 1 ? "a vector response" : "student-t");
    if (options_.expert.divisor == VarianceDivisor::unbiased && n <= data_.expert_inputs.cols() + 1)
      user_error("variance divisor 'unbiased' needs more rows ({}) than coefficients ({})", n,
                 data_.expert_inputs.cols() + 1);
    if (options_.noise == NoiseKind::uniform) {
      if (!Expert(options_.expert, 0, 1, 2).has_sigma())
        user_error("uniform noise needs a real response, not {} experts", enum_name(options_.expert.kind));
      for (Index j = 0; j < data_.response.cols(); ++j)
        if (!(data_.response.col(j).maxCoeff() > data_.response.col(j).minCoeff()))
          user_error("uniform noise needs a response that varies");
    }
    if (options_.method == FitMethod::spectral && options_.experts > 1) {
      MixtureModel prototype;
      prototype.experts.assign(static_cast<std::size_t>(options_.experts),
                               Expert(options_.expert, static_cast<int>(data_.expert_inputs.cols()),
                                      static_cast<int>(data_.response.cols()), data_.classes));
      std::string reason;
      if (!spectral_possible(prototype, reason)) user_error("method 'spectral' does not apply: {}", reason);
    }
  }

  bool spectral_possible(const MixtureModel& prototype, std::string& reason) const {
    Data tiny;
    tiny.expert_inputs = Matrix::Zero(1, data_.expert_inputs.cols());
    tiny.gate_inputs = Matrix::Zero(1, 0);
    tiny.response = Matrix::Constant(1, data_.response.cols(), 1.0);
    tiny.trials = Vector::Ones(1);
    tiny.classes = std::max(2, data_.classes);
    return StartMaker(tiny, prototype).spectral_applies(reason);
  }

  double total_weight() const { return data_.weights.size() ? data_.weights.sum() : static_cast<double>(data_.rows()); }

  void report(double fraction, const std::string& what) const {
    if (progress_) progress_(fraction, what);
  }

  EngineSettings serial_settings() const {
    EngineSettings s = settings_;
    s.threads = 1;
    return s;
  }

  // The rows of the tournament: all, or a random sample. Its data are kept on both scales.
  void prepare_sample() {
    const Index n = data_.rows();
    if (n <= options_.start_rows) {
      sample_ = &data_;
    } else {
      RandomStream stream(static_cast<std::uint64_t>(options_.seed), kSubsampleStream);
      std::vector<Index> rows;
      for (std::size_t i : stream.sample_without_replacement(static_cast<std::size_t>(n),
                                                             static_cast<std::size_t>(options_.start_rows)))
        rows.push_back(static_cast<Index>(i));
      sample_storage_ = data_.subset(rows);
      if (sample_storage_.weights.size() && !(sample_storage_.weights.sum() > 0)) sample_storage_.weights.setOnes();
      sample_ = &sample_storage_;
    }
    sample_standard_ = scaling_.standardised(*sample_, 0, sample_->rows());
    maker_.emplace(sample_standard_, prototype_);
  }

  void add_user_start(const MixtureModel& start) {
    if (start.expert_count() != options_.experts)
      user_error("the given start has {} experts, the options ask for {}", start.expert_count(), options_.experts);
    MixtureModel model = scaling_.to_standard(start);
    if (model.gate.spec().kind == GateKind::laplace) model.gate.set_input_scale(Vector::Ones(model.gate.inputs()));
    for (std::size_t j = 0; j < model.experts.size(); ++j)
      if (model.experts[j].parameters().size() != prototype_.experts[j].parameters().size() ||
          model.experts[j].spec().kind != options_.expert.kind || model.gate.spec().kind != options_.gate.kind ||
          model.gate.parameters().size() != prototype_.gate.parameters().size())
        user_error("the given start is a model of another shape");
    model.gate.pin();
    StartRecord record;
    record.kind = StartKind::user;
    records_.push_back(record);
    models_.push_back(model);
  }

  // Kinds of a batch of starts, in a fixed mixture; the first batch begins with the spectral start.
  StartKind kind_of(std::size_t number) const {
    if (options_.method == FitMethod::spectral) return StartKind::spectral;
    if (number == 0 && options_.method == FitMethod::automatic && spectral_applies_) return StartKind::spectral;
    static constexpr StartKind kCycle[] = {StartKind::kmeans, StartKind::planes, StartKind::kmeans,
                                           StartKind::random, StartKind::kmeans, StartKind::planes};
    return kCycle[number % 6];
  }

  // Makes starts number first .. first + count - 1. All run for a few iterations, the better third for the full short
  // run: twice as many starts for the same work (successive halving).
  void short_runs(std::size_t first, std::size_t count) {
    const std::size_t offset = models_.size();
    models_.resize(offset + count);
    records_.resize(offset + count);
    std::vector<std::vector<std::string>> notes(count);
    std::vector<std::unique_ptr<EmEngine>> engines(count);
    const int screening = std::min(options_.short_iterations, kScreeningIterations);
    parallel_for(count, settings_.threads, [&](std::size_t i) {
      StartRecord& record = records_[offset + i];
      record.kind = kind_of(first + i);
      try {
        engines[i] = detail::make_engine(*sample_, scaling_, prototype_, serial_settings());
        RandomStream stream(static_cast<std::uint64_t>(options_.seed), kStartStream + first + i);
        models_[offset + i] =
            record.kind == StartKind::spectral
                ? maker_->make_spectral(*engines[i], static_cast<std::uint64_t>(options_.seed) + first + i,
                                        options_.method == FitMethod::spectral, notes[i])
                : maker_->make(record.kind, *engines[i], stream);
        continue_run(offset + i, *engines[i], screening);
      } catch (const std::runtime_error& error) {
        record.failure = error.what();
      }
    });
    for (auto& n : notes)
      for (auto& text : n) diagnoses_.push_back(std::move(text));
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < count; ++i)
      if (records_[offset + i].failure.empty()) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
      return records_[offset + x].short_log_likelihood > records_[offset + y].short_log_likelihood;
    });
    order.resize(
        std::min(order.size(), std::max<std::size_t>(static_cast<std::size_t>(options_.polished) + 1, count / 3)));
    parallel_for(order.size(), settings_.threads, [&](std::size_t i) {
      continue_run(offset + order[i], *engines[order[i]], options_.short_iterations - screening);
    });
  }

  // Some more iterations of one start on the rows of the tournament.
  void continue_run(std::size_t start, EmEngine& engine, int iterations) {
    if (iterations <= 0) return;
    StartRecord& record = records_[start];
    const double value = detail::run_short(engine, models_[start], iterations);
    record.short_log_likelihood = (value / engine.total_weight() + scaling_.log_jacobian()) * total_weight();
    record.iterations += iterations;
    record.degenerate = is_degenerate(models_[start]);
    if (!std::isfinite(value)) record.failure = "the likelihood is not finite";
  }

  // Where mixtures lose small experts: the rows that the best solution explains worst get an expert of their own, in
  // turn at the expense of each of the present ones (after Ueda et al. 2000, split and merge EM).
  void reseeded_runs(const Solution& best) {
    const auto k = static_cast<std::size_t>(options_.experts);
    const std::size_t offset = models_.size();
    models_.resize(offset + k);
    records_.resize(offset + k);
    // Children of the best solution look good from the start and would crowd out independent ones: only the best child
    // is ever polished, by reseed_improves().
    polished_.resize(models_.size(), true);
    parallel_for(k, settings_.threads, [&](std::size_t j) {
      StartRecord& record = records_[offset + j];
      record.kind = StartKind::reseeded;
      try {
        const auto engine = detail::make_engine(*sample_, scaling_, prototype_, serial_settings());
        models_[offset + j] = maker_->make_reseeded(best.model, static_cast<int>(j), *engine);
        continue_run(offset + j, *engine, options_.short_iterations);
      } catch (const std::runtime_error& error) {
        record.failure = error.what();
      }
    });
  }

  bool is_degenerate(const MixtureModel& model) const {
    if (model.expert_count() == 1) return false;
    return std::any_of(model.experts.begin(), model.experts.end(),
                       [&](const Expert& e) { return at_floor(e, settings_.sigma_floor); });
  }

  // Carries the best not yet polished starts to convergence on all rows: `count` regular ones and the best degenerate
  // one when it looks better than all others.
  void polish_best(int count) {
    std::vector<std::size_t> order(models_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::erase_if(order, [&](std::size_t i) { return polished_[i] || !records_[i].failure.empty(); });
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (records_[a].degenerate != records_[b].degenerate) return !records_[a].degenerate;
      return records_[a].short_log_likelihood > records_[b].short_log_likelihood;
    });
    std::vector<std::size_t> chosen;
    for (std::size_t i : order)
      if (static_cast<int>(chosen.size()) < count && !records_[i].degenerate) chosen.push_back(i);
    bool degenerate_known =
        std::any_of(solutions_.begin(), solutions_.end(), [](const Solution& s) { return s.degenerate; });
    for (std::size_t i : order)
      if (records_[i].degenerate && (chosen.empty() || !degenerate_known)) {
        chosen.push_back(i);
        degenerate_known = true;
      }
    polish(chosen);
  }

  // Carries the given starts to convergence on all rows.
  void polish(const std::vector<std::size_t>& chosen) {
    for (std::size_t i : chosen) polished_[i] = true;
    std::vector<Solution> found(chosen.size());
    // Small problems: solutions side by side. Large ones: one after the other, each on all threads.
    const bool large = data_.rows() >= 20000;
    if (large || settings_.threads == 1) {
      if (!engine_) engine_ = detail::make_engine(data_, scaling_, prototype_, settings_);
      for (std::size_t i = 0; i < chosen.size(); ++i) found[i] = polish_one(chosen[i], *engine_);
    } else {
      parallel_for(chosen.size(), settings_.threads, [&](std::size_t i) {
        const auto engine = detail::make_engine(data_, scaling_, prototype_, serial_settings());
        found[i] = polish_one(chosen[i], *engine);
      });
    }
    for (auto& solution : found) solutions_.push_back(std::move(solution));
  }

  Solution polish_one(std::size_t start, EmEngine& engine) {
    Solution solution;
    solution.start = start;
    solution.model = models_[start];
    OptimiseSettings settings = optimise_settings_;
    settings.start = static_cast<int>(start);
    solution.outcome = detail::optimise(engine, solution.model, settings);
    solution.degenerate = is_degenerate(solution.model);
    solution.penalty = engine.penalty(solution.model);
    records_[start].log_likelihood = solution.outcome.objective + scaling_.log_jacobian() * engine.total_weight();
    records_[start].iterations += solution.outcome.iterations;
    records_[start].degenerate = solution.degenerate;
    return solution;
  }

  // The winner: the best regular solution; a degenerate one only when it is allowed to win or nothing else was found.
  const Solution* best(bool degenerate_too) const {
    const Solution* winner = nullptr;
    for (const Solution& s : solutions_)
      if (std::isfinite(s.outcome.objective) && (degenerate_too || !s.degenerate) &&
          (!winner || s.outcome.objective > winner->outcome.objective))
        winner = &s;
    return winner;
  }

  int agreeing(const Solution& winner) const {
    return static_cast<int>(std::count_if(solutions_.begin(), solutions_.end(), [&](const Solution& s) {
      // A child of another solution is no independent witness.
      const bool independent = records_[s.start].kind != StartKind::reseeded || s.start == winner.start;
      return independent && s.degenerate == winner.degenerate &&
             std::abs(s.outcome.objective - winner.outcome.objective) <=
                 kAgreement * std::max(1.0, std::abs(winner.outcome.objective));
    }));
  }

  void search() {
    prepare_sample();
    std::string reason;
    spectral_applies_ = options_.experts > 1 && maker_->spectral_applies(reason);
    if (options_.experts == 1) {
      short_runs(0, 1);
      polished_.resize(models_.size(), false);
      polish_best(1);
      return;
    }
    int batch = options_.starts > 0 ? options_.starts : first_batch();
    if (options_.method == FitMethod::spectral) batch = 1;
    std::size_t made = 0;
    bool overlapping = false;
    int reseeds = options_.method == FitMethod::spectral ? 0 : kReseedRounds;
    for (;;) {
      short_runs(made, static_cast<std::size_t>(batch));
      made += static_cast<std::size_t>(batch);
      report(0.5 * static_cast<double>(made) / static_cast<double>(made + kBatch), "starts");
      polished_.resize(models_.size(), false);
      polish_best(polish_count(overlapping));
      report(0.9, "polish");
      while (reseeds > 0 && reseed_improves()) --reseeds;
      const Solution* winner = best(options_.keep_degenerate);
      if (options_.starts > 0 || options_.method == FitMethod::spectral) break;
      if (winner) {
        overlapping = overlaps(*winner);
        const int evidence = agreeing(*winner) + (stable_under_reseeding_ ? 1 : 0);
        if (evidence >= (overlapping || smallness() > 1.5 ? 4 : 2) &&
            static_cast<int>(made) >= (overlapping ? 4 * kBatch : 0))
          break;
      }
      if (static_cast<int>(made) >= options_.max_starts) break;
      batch = std::min<int>(first_batch(), options_.max_starts - static_cast<int>(made));
    }
    check_nested();
    if (!best(true)) {
      std::string why = "no start gave a finite likelihood";
      for (const StartRecord& r : records_)
        if (!r.failure.empty()) why = r.failure;
      world_error("fitting failed: {}", why);
    }
  }

  // A larger model must not end below a smaller one that it contains. Where the smaller one comes close (or is cheap
  // beside the larger one), it is fitted, and its optimum is one more start.
  void check_nested() {
    const Solution* found = best(options_.keep_degenerate);
    if (!found || options_.method == FitMethod::spectral) return;
    for (FitOptions smaller : detail::nested_options(options_)) {
      const bool gate_only =
          smaller.expert.kind == options_.expert.kind && smaller.expert.variance == options_.expert.variance;
      if (gate_only && smaller.gate.kind == GateKind::constant &&
          found->outcome.objective - constant_gate_objective(*found) > kClearlyNested)
        continue;
      smaller.start_rows = options_.start_rows;
      const FitResult nested = fit(data_, smaller);
      if (!(nested.log_likelihood > -std::numeric_limits<double>::infinity())) continue;
      StartRecord record;
      record.kind = StartKind::nested;
      record.short_log_likelihood = nested.log_likelihood;
      record.iterations = nested.iterations;
      records_.push_back(record);
      models_.push_back(detail::enlarge(scaling_.to_standard(nested.model), prototype_));
      polished_.push_back(false);
      polish({models_.size() - 1});
      found = best(options_.keep_degenerate);
    }
  }

  // What a constant gate reaches from the experts of a solution in a short run.
  double constant_gate_objective(const Solution& solution) const {
    MixtureModel constant = solution.model;
    const Vector share = solution.model.gate.log_weights(sample_standard_.gate_inputs).array().exp().colwise().mean();
    constant.gate = Gate(GateSpec{.kind = GateKind::constant}, constant.gate.inputs(), constant.gate.experts());
    constant.gate.parameters() = share.array().max(1e-6).log();
    constant.gate.pin();
    const auto engine = detail::make_engine(*sample_, scaling_, constant, serial_settings());
    return detail::run_short(*engine, constant, kScreeningIterations) / engine->total_weight() * total_weight();
  }

  // Experts that overlap make many local optima: then a few polished starts that agree prove little.
  bool overlaps(const Solution& solution) const {
    const Matrix r = solution.model.responsibilities(sample_standard_);
    const double entropy = -(r.array() * r.array().max(1e-300).log()).sum();
    return entropy > kOverlap * static_cast<double>(r.rows()) * std::log(static_cast<double>(r.cols()));
  }

  // One round of reseeding the best solution; whether it found a better one.
  bool reseed_improves() {
    const Solution* before = best(options_.keep_degenerate);
    if (!before) return false;
    stable_under_reseeding_ = false;
    const double value = before->outcome.objective;
    const double short_value = records_[before->start].short_log_likelihood;
    const std::size_t offset = models_.size();
    reseeded_runs(Solution(*before));
    std::size_t top = offset;
    for (std::size_t i = offset; i < models_.size(); ++i)
      if (records_[i].failure.empty() && !records_[i].degenerate &&
          (!records_[top].failure.empty() || records_[top].degenerate ||
           records_[i].short_log_likelihood > records_[top].short_log_likelihood))
        top = i;
    // Not worth polishing when even a long way to go could not reach the best solution.
    const double margin = 1e-3 * total_weight() + 2.0;
    if (!records_[top].failure.empty() || records_[top].degenerate ||
        records_[top].short_log_likelihood <
            std::min(short_value, value + scaling_.log_jacobian() * total_weight()) - margin)
      return !(stable_under_reseeding_ = true);
    polish({top});
    stable_under_reseeding_ = best(options_.keep_degenerate)->outcome.objective <= value + kAgreement * std::abs(value);
    return !stable_under_reseeding_;
  }

  // Small data are cheap and have more local optima: more starts there, and more of them polished.
  double smallness() const { return std::max(1.0, 1000.0 / static_cast<double>(std::max<Index>(1, data_.rows()))); }
  int first_batch() const {
    return std::clamp(static_cast<int>(kBatch * std::pow(smallness(), 1.25)), kBatch,
                      std::max(kBatch, options_.max_starts / 2));
  }
  int polish_count(bool overlapping) const {
    if (options_.starts > 0) return options_.polished;
    return std::min(12, static_cast<int>(options_.polished * std::pow(smallness(), 0.75))) + (overlapping ? 2 : 0);
  }

  bool separated(const Solution& solution, const EmEngine& engine) const {
    // A gate coefficient that is huge on the working scale and smaller than its own standard error: the likelihood has
    // no maximum, it only flattens out.
    const detail::ParameterMap& map = engine.map();
    const Vector free = map.pack(solution.model);
    const Vector& errors = solution.outcome.standardised_errors;
    if (errors.size() != free.size()) {
      for (int i : map.gate)
        if (i >= 0 && std::abs(free(i)) > 100) return true;
      return false;
    }
    for (int i : map.gate)
      if (i >= 0 && std::abs(free(i)) > 10 && !(std::abs(free(i)) > errors(i))) return true;
    return false;
  }

  FitResult assemble() {
    FitResult result;
    const Solution* found = best(options_.keep_degenerate);
    if (!found) found = best(true);
    Solution winner = *found;
    const double total = total_weight();
    const double jacobian = scaling_.log_jacobian() * total;
    if (!engine_) engine_ = detail::make_engine(data_, scaling_, prototype_, settings_);

    result.starts = static_cast<int>(models_.size());
    result.starts_polished = static_cast<int>(solutions_.size());
    result.starts_agreed = agreeing(winner);
    result.start = records_[winner.start].kind;
    for (const Solution& s : solutions_)
      if (s.degenerate && (std::isnan(result.degenerate_log_likelihood) ||
                           s.outcome.objective + jacobian > result.degenerate_log_likelihood))
        result.degenerate_log_likelihood = s.outcome.objective + jacobian;
    if (options_.gate_ridge == 0 && separated(winner, *engine_)) treat_separation(winner, result, jacobian);

    for (const Solution& s : solutions_)
      result.history.insert(result.history.end(), s.outcome.history.begin(), s.outcome.history.end());
    for (IterationRecord& r : result.history) r.log_likelihood += jacobian;
    result.start_records = records_;

    const std::vector<int> order =
        winner.model.order_by_share(scaling_.standardised(*sample_, 0, std::min<Index>(sample_->rows(), data_.rows())));
    result.model = scaling_.to_raw(winner.model.permuted(order));
    result.log_likelihood = winner.outcome.objective - winner.penalty + jacobian;
    result.converged = winner.outcome.converged;
    result.reason = winner.outcome.reason;
    if (winner.degenerate) result.reason = StopReason::degenerate;
    result.iterations = winner.outcome.iterations;
    result.score = winner.outcome.score;
    result.rows = data_.rows();
    result.effective_rows = total;
    result.degrees_of_freedom = result.model.degrees_of_freedom();
    const double df = result.degrees_of_freedom;
    result.aic = -2 * result.log_likelihood + 2 * df;
    result.bic = -2 * result.log_likelihood + df * std::log(total);
    memberships(result);
    result.icl = result.bic + 2 * result.entropy;
    warn(winner, result);
    return result;
  }

  void treat_separation(Solution& winner, FitResult& result, double jacobian) {
    result.gate_separated = true;
    result.supremum_log_likelihood = winner.outcome.objective + jacobian;
    if (options_.separation_ridge == 0) return;
    // Among the best solutions, the one that is best once the separated ones have finite coefficients.
    std::vector<const Solution*> candidates;
    for (const Solution& s : solutions_)
      if (!s.degenerate || winner.degenerate) candidates.push_back(&s);
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Solution* a, const Solution* b) { return a->outcome.objective > b->outcome.objective; });
    candidates.resize(std::min<std::size_t>(candidates.size(), 5));
    std::optional<Solution> chosen;
    for (const Solution* candidate : candidates) {
      Solution solution = *candidate;
      if (separated(solution, *engine_)) solution = with_ridge(solution);
      if ((!solution.degenerate || winner.degenerate) &&
          (!chosen || solution.outcome.objective > chosen->outcome.objective))
        chosen = std::move(solution);
    }
    if (chosen) winner = std::move(*chosen);
  }

  // A separated solution carried on under the ridge.
  Solution with_ridge(const Solution& separated_solution) {
    Solution ridged = separated_solution;
    // From coefficients of ordinary size: at the far end of the plateau the penalised objective has no curvature.
    const double largest = ridged.model.gate.parameters().cwiseAbs().maxCoeff();
    if (largest > 10) ridged.model.gate.parameters() *= 10 / largest;
    engine_->set_gate_ridge(options_.separation_ridge / total_weight());
    ridged.outcome = detail::optimise(*engine_, ridged.model, optimise_settings_);
    ridged.penalty = engine_->penalty(ridged.model);
    engine_->set_gate_ridge(options_.gate_ridge);
    ridged.outcome.iterations += separated_solution.outcome.iterations;
    ridged.degenerate = is_degenerate(ridged.model);
    return ridged;
  }

  // Shares and entropy of the responsibilities, in blocks of rows so that memory stays small.
  void memberships(FitResult& result) const {
    const Index n = data_.rows();
    const int columns = result.model.expert_count() + (result.model.has_noise ? 1 : 0);
    result.shares = Vector::Zero(columns);
    result.entropy = 0;
    constexpr Index kRows = 4096;
    for (Index begin = 0; begin < n; begin += kRows) {
      const Index count = std::min(kRows, n - begin);
      std::vector<Index> rows(static_cast<std::size_t>(count));
      std::iota(rows.begin(), rows.end(), begin);
      const Data block = data_.subset(rows);
      const Matrix r = result.model.responsibilities(block);
      for (Index i = 0; i < count; ++i) {
        const double w = block.weights.size() ? block.weights(i) : 1.0;
        for (int j = 0; j < columns; ++j) {
          result.shares(j) += w * r(i, j);
          if (r(i, j) > 0) result.entropy -= w * r(i, j) * std::log(r(i, j));
        }
      }
    }
    result.shares /= result.effective_rows;
  }

  void warn(const Solution& winner, FitResult& result) const {
    auto& warnings = result.warnings;
    if (!result.converged)
      warnings.push_back(
          fmt::format("The fit did not converge ({}); raise --max-iterations (now {}) or try more --starts.",
                      enum_name(winner.outcome.reason), options_.max_iterations));
    if (result.gate_separated && options_.separation_ridge > 0)
      warnings.push_back(fmt::format(
          "The gate separates the data: without a penalty its coefficients run to infinity and the log-likelihood "
          "tends "
          "to {:.3f}. Shown is the best solution with finite coefficients under a weak ridge penalty ({:g} on "
          "standardised "
          "inputs, --separation-ridge).",
          result.supremum_log_likelihood, options_.separation_ridge));
    else if (result.gate_separated)
      warnings.push_back(
          "The gate separates the data: its coefficients run to infinity, those shown are where it stopped.");
    if (winner.degenerate)
      warnings.push_back(
          "An expert sits at the noise floor (--sigma-floor): the likelihood has a spike there and no maximum. Use "
          "fewer "
          "experts, a shared noise level (--variance shared) or a higher floor.");
    else if (std::isfinite(result.degenerate_log_likelihood) &&
             result.degenerate_log_likelihood > result.log_likelihood)
      warnings.push_back(fmt::format(
          "A solution with an expert at the noise floor has a higher log-likelihood ({:.3f}) and was set aside as a "
          "spike; --keep-degenerate lets it win.",
          result.degenerate_log_likelihood));
    for (Index j = 0; j < result.model.expert_count(); ++j)
      if (result.shares(j) * result.effective_rows < static_cast<double>(data_.expert_inputs.cols() + 2))
        warnings.push_back(
            fmt::format("Expert {} holds {:.3g} rows in all, fewer than it has parameters; use fewer experts.", j + 1,
                        result.shares(j) * result.effective_rows));
    if (result.degrees_of_freedom >= result.effective_rows)
      warnings.push_back(
          fmt::format("The model has {} parameters for {:g} rows.", result.degrees_of_freedom, result.effective_rows));
    if (options_.starts == 0 && options_.experts > 1 && result.starts_agreed < 2 &&
        options_.method != FitMethod::spectral)
      warnings.push_back(
          fmt::format("Only one of {} polished starts reached this optimum; raise --max-starts to search on.",
                      result.starts_polished));
    if (result.start == StartKind::spectral || options_.method == FitMethod::spectral)
      for (const std::string& text : diagnoses_) warnings.push_back("Spectral start: " + text);
  }

  const Data& data_;
  const FitOptions& options_;
  const ProgressCallback& progress_;
  MixtureModel prototype_;
  Scaling scaling_;
  EngineSettings settings_;
  OptimiseSettings optimise_settings_;
  Data sample_storage_, sample_standard_;
  const Data* sample_ = nullptr;
  std::optional<StartMaker> maker_;
  bool spectral_applies_ = false;
  bool stable_under_reseeding_ = false;
  std::unique_ptr<EmEngine> engine_;
  std::vector<StartRecord> records_;
  std::vector<MixtureModel> models_;
  std::vector<bool> polished_;
  std::vector<Solution> solutions_;
  std::vector<std::string> diagnoses_;
};

}  // namespace

std::string FitResult::brief() const {
  if (reason == StopReason::not_fitted) return "not fitted yet";
  return fmt::format(
      "{} experts, log-likelihood {:.4f} (df {}), BIC {:.2f}, {} after {} iterations, {} start, {} of {} agreed",
      model.expert_count(), log_likelihood, degrees_of_freedom, bic, enum_name(reason), iterations, enum_name(start),
      starts_agreed, starts_polished);
}

FitResult fit(const Data& data, const FitOptions& options, const MixtureModel* user_start,
              const ProgressCallback& progress) {
  return Fitter(data, options, progress).run(user_start);
}

}  // namespace clearway
