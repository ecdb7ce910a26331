#include "tournament.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "nesting.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kBatch = 12;
constexpr int kScreeningIterations = 8;
constexpr double kOverlap = 0.25;  // normalised entropy of responsibilities from which experts overlap
constexpr Eigen::Index kFewRows = 5000;
constexpr int kReseedRounds = 2;
constexpr double kClearlyNested = 25.0;  // log-likelihood units by which a smaller model cannot catch up
constexpr double kAgreement = 1e-6;      // relative difference of log-likelihoods that counts as the same optimum
// Streams of randomness, so that no two uses share one.
constexpr std::uint64_t kStartStream = 1000;

bool at_floor(const Expert& expert, double floor) {
  constexpr double kSlack = 1 + 1e-6;
  if (expert.has_sigma()) return expert.sigma() <= floor * kSlack;
  if (expert.responses() == 1) return false;
  const Matrix covariance = expert.covariance();
  return covariance.diagonal().minCoeff() <= floor * floor * kSlack * kSlack;
}

}  // namespace

Tournament::Tournament(const Data& data, const FitOptions& options, const Scaling& scaling,
                       const MixtureModel& prototype, const EngineSettings& settings,
                       const OptimiseSettings& optimise_settings, const ProgressCallback& progress)
    : data_(data),
      options_(options),
      scaling_(scaling),
      prototype_(prototype),
      settings_(settings),
      optimise_settings_(optimise_settings),
      progress_(progress),
      rows_(data, options, scaling) {
  maker_.emplace(rows_.standardised(), prototype_);
}

void Tournament::add_user_start(const MixtureModel& model) {
  const std::size_t start = pool_.add(model, StartKind::user);
  const auto own = make_engine(rows_.raw(), scaling_, prototype_, serial_settings());
  continue_run(start, *own, options_.short_iterations);
}

EmEngine& Tournament::engine() {
  if (!engine_) engine_ = make_engine(data_, scaling_, prototype_, settings_);
  return *engine_;
}

EngineSettings Tournament::serial_settings() const {
  EngineSettings serial = settings_;
  serial.threads = 1;
  return serial;
}

void Tournament::report(double fraction, const std::string& what) const {
  if (progress_) progress_(fraction, what);
}

// Kinds of a batch of starts, in a fixed mixture; the first batch begins with the spectral start.
StartKind Tournament::kind_of(std::size_t number) const {
  if (options_.method == FitMethod::spectral) return StartKind::spectral;
  if (number == 0 && options_.method == FitMethod::automatic && spectral_applies_) return StartKind::spectral;
  static constexpr StartKind kCycle[] = {StartKind::kmeans, StartKind::planes, StartKind::kmeans,
                                         StartKind::random, StartKind::kmeans, StartKind::planes};
  return kCycle[number % 6];
}

// Makes starts number first .. first + count - 1. All run for a few iterations, the better third for the full short
// run: twice as many starts for the same work (successive halving).
void Tournament::short_runs(std::size_t first, std::size_t count) {
  const std::size_t offset = pool_.grow(count);
  std::vector<std::vector<std::string>> notes(count);
  std::vector<std::unique_ptr<EmEngine>> engines(count);
  const int screening = std::min(options_.short_iterations, kScreeningIterations);
  parallel_for(count, settings_.threads, [&](std::size_t i) {
    StartRecord& record = pool_.records[offset + i];
    record.kind = kind_of(first + i);
    try {
      engines[i] = make_engine(rows_.raw(), scaling_, prototype_, serial_settings());
      RandomStream stream(static_cast<std::uint64_t>(options_.seed), kStartStream + first + i);
      if (record.kind == StartKind::spectral) {
        try {
          pool_.models[offset + i] =
              maker_->make_spectral(*engines[i], static_cast<std::uint64_t>(options_.seed) + first + i,
                                    options_.method == FitMethod::spectral, notes[i]);
        } catch (const std::runtime_error&) {
          if (count > 1 || options_.method == FitMethod::spectral) throw;
          record.kind = StartKind::kmeans;  // the only start
        }
      }
      if (record.kind != StartKind::spectral) pool_.models[offset + i] = maker_->make(record.kind, *engines[i], stream);
      continue_run(offset + i, *engines[i], screening);
    } catch (const std::runtime_error& error) {
      record.failure = error.what();
    }
  });
  for (auto& n : notes)
    for (auto& text : n) diagnoses_.push_back(std::move(text));
  const std::vector<std::size_t> order = pool_.better_third(offset, options_.polished, Better::larger);
  parallel_for(order.size(), settings_.threads, [&](std::size_t i) {
    continue_run(order[i], *engines[order[i] - offset], options_.short_iterations - screening);
  });
}

// Some more iterations of one start on the rows of the tournament.
void Tournament::continue_run(std::size_t start, EmEngine& engine, int iterations) {
  if (iterations <= 0) return;
  StartRecord& record = pool_.records[start];
  const double value = run_short(engine, pool_.models[start], iterations);
  record.short_log_likelihood = (value / engine.total_weight() + scaling_.log_jacobian()) * total_weight();
  record.iterations += iterations;
  record.degenerate = is_degenerate(pool_.models[start]);
  if (!std::isfinite(value)) record.failure = "the likelihood is not finite";
}

// Where mixtures lose small experts: the rows that the best solution explains worst get an expert of their own, in
// turn at the expense of each of the present ones (after Ueda et al. 2000, split and merge EM).
void Tournament::reseeded_runs(const Solution& best) {
  const auto k = static_cast<std::size_t>(options_.experts);
  // Children of the best solution look good from the start and would crowd out independent ones: only the best child
  // is ever polished, by reseed_improves().
  const std::size_t offset = pool_.grow(k, true);
  parallel_for(k, settings_.threads, [&](std::size_t j) {
    StartRecord& record = pool_.records[offset + j];
    record.kind = StartKind::reseeded;
    try {
      const auto engine = make_engine(rows_.raw(), scaling_, prototype_, serial_settings());
      pool_.models[offset + j] = maker_->make_reseeded(best.model, static_cast<int>(j), *engine);
      continue_run(offset + j, *engine, options_.short_iterations);
    } catch (const std::runtime_error& error) {
      record.failure = error.what();
    }
  });
}

bool Tournament::is_degenerate(const MixtureModel& model) const {
  if (model.expert_count() == 1) return false;
  if (std::any_of(model.experts.begin(), model.experts.end(),
                  [&](const Expert& e) { return at_floor(e, settings_.sigma_floor); }))
    return true;
  return std::any_of(model.experts.begin(), model.experts.end(),
                     [](const Expert& e) { return e.spec().kind == ExpertKind::heteroscedastic; }) &&
         noise_vanishes_somewhere(model);
}

// Heteroscedastic experts have a noise level per row: some row that belongs to an expert lies at the floor.
bool Tournament::noise_vanishes_somewhere(const MixtureModel& model) const {
  constexpr double kBelongs = 0.01;
  const Matrix r = model.responsibilities(rows_.standardised());
  const double floor = settings_.sigma_floor * (1 + 1e-6);
  for (int j = 0; j < model.expert_count(); ++j) {
    const Expert& expert = model.experts[static_cast<std::size_t>(j)];
    if (expert.spec().kind != ExpertKind::heteroscedastic) continue;
    const Vector variance = expert.variance(rows_.standardised().expert_inputs, Vector(), Vector());
    for (Index i = 0; i < r.rows(); ++i)
      if (r(i, j) > kBelongs && variance(i) <= floor * floor) return true;
  }
  return false;
}

// Carries the best not yet polished starts to convergence on all rows: `count` regular ones and the best degenerate
// one when it looks better than all others.
void Tournament::polish_best(int count) {
  std::vector<std::size_t> order(pool_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return pool_.polished[i] || !pool_.records[i].failure.empty(); });
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (pool_.records[a].degenerate != pool_.records[b].degenerate) return !pool_.records[a].degenerate;
    return pool_.records[a].short_log_likelihood > pool_.records[b].short_log_likelihood;
  });
  std::vector<std::size_t> chosen;
  for (std::size_t i : order)
    if (static_cast<int>(chosen.size()) < count && !pool_.records[i].degenerate) chosen.push_back(i);
  bool degenerate_known =
      std::any_of(solutions_.begin(), solutions_.end(), [](const Solution& s) { return s.degenerate; });
  for (std::size_t i : order)
    if (pool_.records[i].degenerate && (chosen.empty() || !degenerate_known)) {
      chosen.push_back(i);
      degenerate_known = true;
    }
  polish(chosen);
}

// Carries the given starts to convergence on all rows.
void Tournament::polish(const std::vector<std::size_t>& chosen) {
  for (std::size_t i : chosen) pool_.polished[i] = true;
  std::vector<Solution> found(chosen.size());
  // Small problems: solutions side by side. Large ones: one after the other, each on all threads.
  const bool large = data_.rows() >= 20000;
  if (large || settings_.threads == 1) {
    for (std::size_t i = 0; i < chosen.size(); ++i) found[i] = polish_one(chosen[i], engine());
  } else {
    parallel_for(chosen.size(), settings_.threads, [&](std::size_t i) {
      const auto engine = make_engine(data_, scaling_, prototype_, serial_settings());
      found[i] = polish_one(chosen[i], *engine);
    });
  }
  for (auto& solution : found) solutions_.push_back(std::move(solution));
}

Solution Tournament::polish_one(std::size_t start, EmEngine& engine) {
  Solution solution;
  solution.start = start;
  solution.model = pool_.models[start];
  OptimiseSettings settings = optimise_settings_;
  settings.start = static_cast<int>(start);
  solution.outcome = optimise(engine, solution.model, settings);
  solution.degenerate = is_degenerate(solution.model);
  solution.penalty = engine.penalty(solution.model);
  pool_.records[start].log_likelihood = solution.outcome.objective + scaling_.log_jacobian() * engine.total_weight();
  pool_.records[start].iterations += solution.outcome.iterations;
  pool_.records[start].degenerate = solution.degenerate;
  return solution;
}

// The winner: the best regular solution; a degenerate one only when it is allowed to win or nothing else was found.
const Solution* Tournament::best(bool degenerate_too) const {
  const Solution* winner = nullptr;
  for (const Solution& s : solutions_)
    if (std::isfinite(s.outcome.objective) && (degenerate_too || !s.degenerate) &&
        (!winner || s.outcome.objective > winner->outcome.objective))
      winner = &s;
  return winner;
}

int Tournament::agreeing(const Solution& winner) const {
  return static_cast<int>(std::count_if(solutions_.begin(), solutions_.end(), [&](const Solution& s) {
    // A child of another solution is no independent witness.
    const bool independent = pool_.records[s.start].kind != StartKind::reseeded || s.start == winner.start;
    return independent && s.degenerate == winner.degenerate &&
           std::abs(s.outcome.objective - winner.outcome.objective) <=
               kAgreement * std::max(1.0, std::abs(winner.outcome.objective));
  }));
}

void Tournament::run() {
  std::string reason;
  spectral_applies_ = options_.experts > 1 && maker_->spectral_applies(reason);
  if (options_.experts == 1) {
    short_runs(0, 1);
    polish_best(1);
    check_nested();
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
  if (!best(true)) world_error("fitting failed: {}", pool_.failure("no start gave a finite likelihood"));
}

// A larger model must not end below a smaller one that it contains. Where the smaller one comes close (or is cheap
// beside the larger one), it is fitted, and its optimum is one more start.
void Tournament::check_nested() {
  const Solution* found = best(options_.keep_degenerate);
  if (!found || options_.method == FitMethod::spectral || !options_.constraints.empty()) return;
  for (FitOptions smaller : nested_options(options_)) {
    const bool gate_only =
        smaller.expert.kind == options_.expert.kind && smaller.expert.variance == options_.expert.variance;
    if (gate_only && smaller.gate.kind == GateKind::constant &&
        found->outcome.objective - constant_gate_objective(*found) > kClearlyNested)
      continue;
    smaller.start_rows = options_.start_rows;
    const FitResult nested = fit(data_, smaller);
    if (!(nested.log_likelihood > -std::numeric_limits<double>::infinity())) continue;
    const std::size_t start = pool_.add(enlarge(scaling_.to_standard(nested.model), prototype_), StartKind::nested);
    pool_.records[start].short_log_likelihood = nested.log_likelihood;
    pool_.records[start].iterations = nested.iterations;
    polish({start});
    found = best(options_.keep_degenerate);
  }
}

// What a constant gate reaches from the experts of a solution in a short run.
double Tournament::constant_gate_objective(const Solution& solution) const {
  MixtureModel constant = solution.model;
  const Vector share = solution.model.gate.log_weights(rows_.standardised().gate_inputs).array().exp().colwise().mean();
  constant.gate = Gate(GateSpec{.kind = GateKind::constant}, constant.gate.inputs(), constant.gate.experts());
  constant.gate.parameters() = share.array().max(1e-6).log();
  constant.gate.pin();
  const auto engine = make_engine(rows_.raw(), scaling_, constant, serial_settings());
  return run_short(*engine, constant, kScreeningIterations) / engine->total_weight() * total_weight();
}

// Experts that overlap make many local optima: then a few polished starts that agree prove little.
bool Tournament::overlaps(const Solution& solution) const {
  const Matrix r = solution.model.responsibilities(rows_.standardised());
  const double entropy = -(r.array() * r.array().max(1e-300).log()).sum();
  // Counts and positive responses tell less per row: with few rows, less overlap is enough for doubt.
  const Expert& expert = solution.model.experts.front();
  const bool real = response_kind(expert.spec().kind) == ResponseKind::real;
  const double threshold = !real && data_.rows() < kFewRows ? 0.5 * kOverlap : kOverlap;
  return entropy > threshold * static_cast<double>(r.rows()) * std::log(static_cast<double>(r.cols()));
}

// One round of reseeding the best solution; whether it found a better one.
bool Tournament::reseed_improves() {
  const Solution* before = best(options_.keep_degenerate);
  if (!before) return false;
  stable_under_reseeding_ = false;
  const double value = before->outcome.objective;
  const double short_value = pool_.records[before->start].short_log_likelihood;
  const std::size_t offset = pool_.size();
  reseeded_runs(Solution(*before));
  std::size_t top = offset;
  for (std::size_t i = offset; i < pool_.size(); ++i)
    if (pool_.records[i].failure.empty() && !pool_.records[i].degenerate &&
        (!pool_.records[top].failure.empty() || pool_.records[top].degenerate ||
         pool_.records[i].short_log_likelihood > pool_.records[top].short_log_likelihood))
      top = i;
  // Not worth polishing when even a long way to go could not reach the best solution.
  const double margin = 1e-3 * total_weight() + 2.0;
  if (!pool_.records[top].failure.empty() || pool_.records[top].degenerate ||
      pool_.records[top].short_log_likelihood <
          std::min(short_value, value + scaling_.log_jacobian() * total_weight()) - margin)
    return !(stable_under_reseeding_ = true);
  polish({top});
  stable_under_reseeding_ = best(options_.keep_degenerate)->outcome.objective <= value + kAgreement * std::abs(value);
  return !stable_under_reseeding_;
}

// Small data are cheap and have more local optima: more starts there, and more of them polished.
double Tournament::smallness() const {
  return std::max(1.0, 1000.0 / static_cast<double>(std::max<Index>(1, data_.rows())));
}
int Tournament::first_batch() const {
  return std::clamp(static_cast<int>(kBatch * std::pow(smallness(), 1.25)), kBatch,
                    std::max(kBatch, options_.max_starts / 2));
}
int Tournament::polish_count(bool overlapping) const {
  if (options_.starts > 0) return options_.polished;
  return std::min(12, static_cast<int>(options_.polished * std::pow(smallness(), 0.75))) + (overlapping ? 2 : 0);
}

}  // namespace clearway::detail
