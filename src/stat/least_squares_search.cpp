#include "least_squares_search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "optimise.hpp"
#include "regression_function.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr std::size_t kBatch = 12;
constexpr std::size_t kMostStarts = 60;   // when the number of starts adapts: flat problems never agree exactly
constexpr int kScreeningPasses = 16;      // over the sample; a step takes two
constexpr int kEmIterations = 8;          // before every other start
constexpr double kSameLikelihood = 0.01;  // difference of log-likelihoods that counts as the same optimum
constexpr double kAgreement = 1e-6;       // relative difference of sums of squares that counts as the same optimum
constexpr double kSplitDistance = 0.3;
constexpr int kNestedStarts = 6;
constexpr int kFirstLeg = 250;  // passes of a polished run before the first look; most converge within it
constexpr double kReach = 4.0;  // a run that is further behind than so many times what it promises is given up

// Whether the weight of an expert is a sum of two weights of the same kind.
bool weights_can_be_shared(GateKind kind) {
  switch (kind) {
    case GateKind::constant:
    case GateKind::softmax:
    case GateKind::quadratic:
    case GateKind::laplace:
    case GateKind::gaussian:
      return true;
    default:
      return false;
  }
}

// Streams of randomness, so that no two uses share one.
constexpr std::uint64_t kStartStream = 1000, kSplitStream = 500;

}  // namespace

LeastSquaresSearch::LeastSquaresSearch(const Data& data, const FitOptions& options, const Scaling& scaling,
                                       const MixtureModel& prototype, const ProgressCallback& progress)
    : data_(data),
      options_(options),
      scaling_(scaling),
      prototype_(prototype),
      progress_(progress),
      mixture_prototype_(prototype),
      rows_(data, options, scaling),
      threads_(resolve_threads(options.threads)) {
  mixture_prototype_.form = ModelForm::mixture;
  engine_settings_.threads = 1;
  engine_settings_.sigma_floor =
      options.sigma_floor * (scaling.response_deviation.cwiseQuotient(scaling.response_scale)).minCoeff();
  prepare_starts();
  problem_.emplace(data, scaling, prototype, threads_);
  problem_->set_ridge(options.gate_ridge * problem_->total_weight() *
                      scaling.response_deviation.cwiseQuotient(scaling.response_scale).squaredNorm());
  sample_problem_.emplace(rows_.raw(), scaling, prototype, threads_);
  sample_problem_->set_ridge(problem_->ridge() * sample_problem_->total_weight() / problem_->total_weight());
}

void LeastSquaresSearch::report(double fraction, const std::string& what) const {
  if (progress_) progress_(fraction, what);
}

void LeastSquaresSearch::prepare_starts() {
  maker_.emplace(rows_.standardised(), mixture_prototype_);
  // k-means on (inputs, response) with the gate's inputs and a response that says nothing: regions of the gate's inputs.
  region_data_ = rows_.standardised();
  region_data_.expert_inputs = rows_.standardised().gate_inputs;
  region_data_.offset.resize(0);
  region_data_.response.setZero();
  region_maker_.emplace(region_data_, mixture_prototype_);
}

LeastSquaresSettings LeastSquaresSearch::settings(std::size_t start) const {
  // A top-k gate jumps where another expert enters: there the sum of squares has steps, no slopes.
  bool kinked = !prototype_.gate.is_smooth();
  for (const Expert& expert : prototype_.experts)
    kinked = kinked || expert.spec().kind == ExpertKind::relu || expert.spec().kind == ExpertKind::leaky_relu;
  return {.max_iterations = options_.max_iterations,
          .tolerance = options_.tolerance,
          .kinked = kinked,
          .start = static_cast<int>(start)};
}

void LeastSquaresSearch::add_start(const MixtureModel& model, StartKind kind) {
  continue_run(pool_.add(model, kind), kScreeningPasses + 2 * options_.short_iterations);
}

MixtureModel LeastSquaresSearch::make_start(std::size_t number, StartKind kind) {
  const auto engine = make_engine(rows_.raw(), scaling_, mixture_prototype_, engine_settings_);
  RandomStream stream(static_cast<std::uint64_t>(options_.seed), kStartStream + number);
  MixtureModel model = kind == StartKind::regions ? region_maker_->make(StartKind::kmeans, *engine, stream)
                                                  : maker_->make(kind, *engine, stream);
  if (number % 2 == 1) run_short(*engine, model, kEmIterations);
  model.form = ModelForm::regression;
  return model;
}

void LeastSquaresSearch::continue_run(std::size_t start, int iterations) {
  StartRecord& record = pool_.records[start];
  LeastSquaresSettings short_run = settings(start);
  short_run.max_iterations = std::min(iterations, options_.max_iterations);
  const LeastSquaresOutcome outcome = minimise(*sample_problem_, pool_.models[start], short_run);
  record.short_log_likelihood = outcome.sum_of_squares * (problem_->total_weight() / sample_problem_->total_weight());
  record.iterations += outcome.iterations;
  if (!std::isfinite(outcome.sum_of_squares)) record.failure = "the sum of squares is not finite";
}

// All starts run for a few passes, the better third for the full short run (successive halving).
void LeastSquaresSearch::short_runs(std::size_t first, std::size_t count) {
  static constexpr StartKind kCycle[] = {StartKind::regions, StartKind::kmeans, StartKind::regions,
                                         StartKind::planes,  StartKind::kmeans, StartKind::regions,
                                         StartKind::random,  StartKind::regions};
  const bool regions = data_.gate_inputs.cols() > 0 && prototype_.gate.block_size() > 1;
  const std::size_t offset = pool_.grow(count);
  parallel_for(count, threads_, [&](std::size_t i) {
    StartRecord& record = pool_.records[offset + i];
    record.kind = kCycle[(first + i) % std::size(kCycle)];
    if (record.kind == StartKind::regions && !regions) record.kind = StartKind::planes;
    try {
      pool_.models[offset + i] = make_start(first + i, record.kind);
      continue_run(offset + i, kScreeningPasses);
    } catch (const std::runtime_error& error) {
      record.failure = error.what();
    }
  });
  const std::vector<std::size_t> order = pool_.better_third(offset, options_.polished, Better::smaller);
  parallel_for(order.size(), threads_, [&](std::size_t i) { continue_run(order[i], 2 * options_.short_iterations); });
}

void LeastSquaresSearch::polish_best(std::size_t count) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < pool_.size(); ++i)
    if (!pool_.polished[i] && pool_.records[i].failure.empty()) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return pool_.records[a].short_log_likelihood < pool_.records[b].short_log_likelihood;
  });
  order.resize(std::min(order.size(), count));
  polish(order);
}

namespace {

// What the descent of a finished leg promises for the rest of the way: where sums of squares fall like a constant + c / t
// in pass t, as in the flat valleys of models with experts too many, as much as the second half of the leg brought.
double promised_gain(const LeastSquaresOutcome& leg) {
  double at_half = leg.sum_of_squares;
  for (const IterationRecord& record : leg.history)
    if (2 * record.iteration <= leg.iterations) at_half = record.log_likelihood;  // here a sum of squares
  return at_half - leg.sum_of_squares;
}

void append(LeastSquaresOutcome& outcome, LeastSquaresOutcome leg) {
  for (IterationRecord& record : leg.history) record.iteration += outcome.iterations;
  leg.iterations += outcome.iterations;
  leg.history.insert(leg.history.begin(), outcome.history.begin(), outcome.history.end());
  outcome = std::move(leg);
}

}  // namespace

// Carries the given starts to convergence on all rows, side by side where there are few rows: in legs of growing length,
// and beyond each leg only the best one and those that may still overtake it.
void LeastSquaresSearch::polish(const std::vector<std::size_t>& chosen) {
  std::vector<LeastSquaresSolution> found(chosen.size());
  std::vector<double> promised(chosen.size(), 0);
  std::vector<std::size_t> running(chosen.size());
  std::iota(running.begin(), running.end(), std::size_t{0});
  for (std::size_t i : running) {
    found[i].start = chosen[i];
    found[i].model = pool_.models[chosen[i]];
  }
  for (int leg = kFirstLeg; !running.empty(); leg *= 2) {
    const auto one = [&](std::size_t r) {
      const std::size_t i = running[r];
      LeastSquaresSettings limited = settings(chosen[i]);
      limited.max_iterations = std::min(leg, limited.max_iterations - found[i].outcome.iterations);
      LeastSquaresOutcome outcome = minimise(*problem_, found[i].model, limited);
      promised[i] = promised_gain(outcome);
      append(found[i].outcome, std::move(outcome));
    };
    if (data_.rows() >= 20000) {
      for (std::size_t r = 0; r < running.size(); ++r) one(r);
    } else {
      parallel_for(running.size(), threads_, one);
    }
    double least = std::numeric_limits<double>::infinity();
    for (const auto* solutions : {&found, &solutions_})
      for (const LeastSquaresSolution& s : *solutions) least = std::min(least, s.outcome.sum_of_squares);
    std::erase_if(running, [&](std::size_t i) {
      const LeastSquaresOutcome& outcome = found[i].outcome;
      if (outcome.reason != StopReason::iteration_limit || outcome.iterations >= options_.max_iterations) return true;
      const double behind = outcome.sum_of_squares - least;
      return behind > 0 && (behind <= same_optimum(least) || behind > kReach * promised[i]);
    });
  }
  for (LeastSquaresSolution& solution : found) {
    pool_.polished[solution.start] = true;
    pool_.records[solution.start].log_likelihood = solution.outcome.sum_of_squares;
    pool_.records[solution.start].iterations += solution.outcome.iterations;
    if (std::isfinite(solution.outcome.sum_of_squares)) solutions_.push_back(std::move(solution));
  }
}

const LeastSquaresSolution& LeastSquaresSearch::best() const {
  const LeastSquaresSolution* winner = nullptr;
  for (const LeastSquaresSolution& s : solutions_)
    if (!winner || s.outcome.sum_of_squares < winner->outcome.sum_of_squares) winner = &s;
  if (!winner) world_error("fitting failed: {}", pool_.failure("no start gave a finite sum of squares"));
  return *winner;
}

// Over-specified models have flat valleys, whose floors differ by less than matters; an exact fit has no digits at all.
double LeastSquaresSearch::same_optimum(double least) const {
  const double relative = std::max(kAgreement, 2 * kSameLikelihood / problem_->total_weight());
  return relative * least + 1e-20 * problem_->total_weight();
}

int LeastSquaresSearch::agreeing() const {
  const double least = best().outcome.sum_of_squares;
  const double margin = same_optimum(least);
  return static_cast<int>(std::count_if(solutions_.begin(), solutions_.end(), [&](const LeastSquaresSolution& s) {
    return s.outcome.sum_of_squares - least <= margin;
  }));
}

// A model must not end above one that it contains: the optimum with one expert less, each of its experts in turn split
// in two, is a set of further starts.
void LeastSquaresSearch::add_split_starts() {
  // With top-k the smaller model selects among fewer; experts of several kinds have no smaller model.
  if (!weights_can_be_shared(options_.gate.kind) || options_.gate.top_k > 0 || options_.expert_kinds.size() > 1) return;
  FitOptions smaller = options_;
  --smaller.experts;
  smaller.starts = kNestedStarts;
  smaller.polished = 1;
  const std::size_t first = pool_.size();
  const FitResult nested = fit_least_squares(data_, smaller);
  const MixtureModel model = scaling_.to_standard(nested.model);
  for (int j = 0; j < smaller.experts; ++j) {
    RandomStream stream(static_cast<std::uint64_t>(options_.seed), kSplitStream + static_cast<std::uint64_t>(j));
    if (const auto start = split_expert(model, prototype_, j, kSplitDistance, stream))
      add_start(*start, StartKind::nested);
  }
  std::size_t chosen = first;
  for (std::size_t i = first; i < pool_.size(); ++i)
    if (pool_.records[i].short_log_likelihood < pool_.records[chosen].short_log_likelihood) chosen = i;
  if (chosen < pool_.size()) polish({chosen});
  const double nested_squares = problem_->residual_products(model).trace();
  RandomStream stream(static_cast<std::uint64_t>(options_.seed), kSplitStream);
  if (solutions_.empty() || best().outcome.sum_of_squares > nested_squares * (1 + kAgreement))
    if (const auto start = split_expert(model, prototype_, 0, 0.0, stream)) {
      add_start(*start, StartKind::nested);
      polish({pool_.size() - 1});
    }
}

void LeastSquaresSearch::run() {
  if (options_.experts == 1) {
    short_runs(0, 1);
    polish_best(pool_.size());
    best();
    return;
  }
  const bool adapt = options_.starts == 0;
  const std::size_t most = adapt ? std::min(kMostStarts, static_cast<std::size_t>(options_.max_starts))
                                 : static_cast<std::size_t>(options_.starts);
  for (std::size_t made = 0; made < most;) {
    const std::size_t count = adapt ? std::min(kBatch, most - made) : most;
    short_runs(made, count);
    made += count;
    report(0.7 * static_cast<double>(made) / static_cast<double>(made + kBatch), "starts");
    polish_best(static_cast<std::size_t>(options_.polished));
    if (adapt && !solutions_.empty() && agreeing() >= 2) break;
  }
  report(0.8, "smaller model");
  add_split_starts();
  best();
}

std::optional<MixtureModel> split_expert(const MixtureModel& model, const MixtureModel& prototype, int divided,
                                         double distance, RandomStream& stream) {
  const Gate& old = model.gate;
  if (!weights_can_be_shared(old.spec().kind)) return std::nullopt;
  const int k = model.expert_count();
  MixtureModel split = prototype;
  if (split.gate.block_size() != old.block_size() || split.gate.experts() != k + 1) return std::nullopt;
  split.gate.set_units(old.input_centre(), old.input_scale());
  for (int j = 0; j <= k; ++j) {  // the new expert comes first
    const int source = j == 0 ? divided : j - 1;
    split.gate.block(j) = old.block(source);
    split.experts[static_cast<std::size_t>(j)] = model.experts[static_cast<std::size_t>(source)];
    if (source != divided) continue;
    split.gate.block(j)(0) -= std::log(2.0);
    if (distance == 0) continue;
    Vector& theta = split.experts[static_cast<std::size_t>(j)].parameters();
    const double size = std::max(0.3, theta.cwiseAbs().maxCoeff());
    for (Index i = 0; i < mean_parameter_count(split.experts[static_cast<std::size_t>(j)]); ++i)
      theta(i) += distance * size * stream.normal();
    for (Index i = 1; i < split.gate.block_size(); ++i) split.gate.block(j)(i) += stream.normal();
  }
  split.gate.pin();
  return split;
}

}  // namespace clearway::detail
