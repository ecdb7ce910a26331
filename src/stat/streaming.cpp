#include "clearway/stat/streaming.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "design_checks.hpp"
#include "em_engine.hpp"
#include "inference_sums.hpp"

namespace clearway {

using detail::EmEngine;
using detail::EngineSettings;
using detail::ParameterMap;
using detail::Scaling;
using Eigen::Index;

namespace {

constexpr int kHalvings = 12;
constexpr double kSeen = 1e-4;  // as in allocation()

// Parameters that may move: all but those at a bound that the score pushes outward.
std::vector<Index> active(const ParameterMap& map, const Vector& free, const Vector& score) {
  std::vector<Index> indices;
  for (Index i = 0; i < map.size; ++i) {
    const bool at_lower = free(i) <= map.lower(i) + 1e-9 && score(i) <= 0;
    const bool at_upper = free(i) >= map.upper(i) - 1e-9 && score(i) >= 0;
    if (!at_lower && !at_upper) indices.push_back(i);
  }
  return indices;
}

// Solves h * step = g on the given entries (the others stay) for a matrix that may not be positive definite: the diagonal
// is raised until it is.
Vector newton_step(const Matrix& information, const Vector& score, const std::vector<Index>& entries, double& damping) {
  const Matrix h = information(entries, entries);
  const Vector g = score(entries);
  Vector whole = Vector::Zero(score.size());
  for (int attempt = 0; attempt < 40; ++attempt) {
    Matrix damped = h;
    damped.diagonal() += damping * h.diagonal().cwiseAbs().cwiseMax(1e-300);
    const Eigen::LLT<Matrix> factor(damped);
    if (factor.info() == Eigen::Success) {
      const Vector step = factor.solve(g);
      if (step.allFinite()) {
        whole(entries) = step;
        return whole;
      }
    }
    damping = damping == 0 ? 1e-6 : damping * 8;
  }
  return whole;
}

}  // namespace

struct StreamingFit::State {
  FitOptions options;
  StreamOptions stream;
  Scaling scaling;
  EngineSettings settings;
  MixtureModel estimate;  // on the working scale
  FitResult first;        // of the first rows
  Matrix information;     // of all rows so far, each chunk's at the estimate it met
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();

  // Of the pass.
  double objective = 0, penalty = 0, weight = 0, entropy = 0;
  Index rows = 0;
  Vector score, shares, prior, size, seen;
  detail::UndeterminedParameters undetermined;  // of the first pass; the rows are the same in all
  Matrix pass_information;

  // Of the last finished pass.
  int passes = 0;
  double damping = 0, expected_gain = std::numeric_limits<double>::infinity(), value = 0;
  MixtureModel best;  // the best estimate that a pass has evaluated
  double best_objective = -std::numeric_limits<double>::infinity();
  Vector best_score;
  Matrix best_information;
  bool finished = false;

  // Of the pass for standard errors.
  FitResult final_result;
  InferenceOptions inference_options;
  std::optional<detail::InferenceSums> sums;

  std::unique_ptr<EmEngine> engine(const Data& chunk) const {
    return detail::make_engine(chunk, scaling, estimate, settings);
  }
  // Experts by decreasing share, the noise component last.
  std::vector<int> order() const {
    std::vector<int> by_share(estimate.experts.size());
    std::iota(by_share.begin(), by_share.end(), 0);
    if (options.constraints.symmetric(options.experts))
      std::stable_sort(by_share.begin(), by_share.end(), [&](int a, int b) { return shares(a) > shares(b); });
    return by_share;
  }
  Vector ordered(const Vector& values) const {
    Vector out = values;
    const std::vector<int> by_share = order();
    for (std::size_t k = 0; k < by_share.size(); ++k) out(static_cast<Index>(k)) = values(by_share[k]);
    return out;
  }
  int parts() const { return estimate.expert_count() + (estimate.has_noise ? 1 : 0); }
};

StreamingFit::StreamingFit(const Data& first, const FitOptions& options, const StreamOptions& stream,
                           const ProgressCallback& progress)
    : state_(std::make_unique<State>()) {
  check_options(stream);
  if (!first.groups.empty() || !first.labels.empty())
    user_error("stream does not go with repeated measures or known labels");
  if (is_parsimonious(options.expert.covariance))
    user_error("stream fits full or diagonal covariances, not '{}'", enum_name(options.expert.covariance));
  State& s = *state_;
  s.options = options;
  s.stream = stream;
  s.first = fit(first, options, nullptr, progress);
  s.scaling = Scaling(first, s.first.model);
  s.settings.threads = resolve_threads(options.threads);
  // A gate that separates the first rows keeps its ridge: later rows decide with it.
  s.settings.gate_ridge = options.gate_ridge;
  s.settings.sigma_floor =
      options.sigma_floor * s.scaling.response_deviation.cwiseQuotient(s.scaling.response_scale).minCoeff();
  s.estimate = s.scaling.to_standard(s.first.model);
  if (s.estimate.gate.spec().kind == GateKind::laplace)
    s.estimate.gate.set_input_scale(Vector::Ones(s.estimate.gate.inputs()));
  Vector score;
  s.engine(first)->derivatives(s.estimate, score, &s.information);
}

StreamingFit::~StreamingFit() = default;
StreamingFit::StreamingFit(StreamingFit&&) noexcept = default;
StreamingFit& StreamingFit::operator=(StreamingFit&&) noexcept = default;

void StreamingFit::online(const Data& chunk) {
  State& s = *state_;
  const auto engine = s.engine(chunk);
  const ParameterMap& map = engine->map();
  Vector score;
  Matrix information;
  const double before = engine->derivatives(s.estimate, score, &information);
  const Vector start = map.pack(s.estimate);
  double damping = 0;
  Vector step = newton_step(s.information + information, score, active(map, start, score), damping);
  for (int halving = 0; halving < kHalvings; ++halving, step *= 0.5) {
    MixtureModel candidate = s.estimate;
    map.unpack(start + step, candidate);
    // What the chunk gains against what the rows before, a quadratic by now, lose.
    if (engine->objective(candidate) - 0.5 * step.dot(s.information * step) >= before) {
      s.estimate = std::move(candidate);
      break;
    }
  }
  s.information += information;
}

bool StreamingFit::wants_pass() const {
  return !state_->finished;
}

void StreamingFit::begin_pass() {
  State& s = *state_;
  s.objective = s.penalty = s.weight = s.entropy = 0;
  s.rows = 0;
  s.score.resize(0);
  s.shares = s.prior = s.size = s.seen = Vector::Zero(s.parts());
}

void StreamingFit::add(const Data& chunk) {
  State& s = *state_;
  const auto engine = s.engine(chunk);
  Vector score;
  Matrix information;
  const double value = engine->derivatives(s.estimate, score, &information);
  if (s.score.size() == 0) {
    s.score = score;
    s.pass_information = information;
  } else {
    s.score += score;
    s.pass_information += information;
  }
  s.penalty += engine->penalty(s.estimate);
  s.objective += value;
  s.rows += chunk.rows();
  if (s.passes == 0) s.undetermined.add(chunk);
  const MixtureModel raw = model();
  const Matrix r = raw.responsibilities(chunk);
  const Matrix gate = raw.gate.log_weights(chunk.gate_inputs).array().exp();
  for (Index t = 0; t < chunk.rows(); ++t) {
    const double w = chunk.weights.size() ? chunk.weights(t) : 1.0;
    s.weight += w;
    Index best = 0;
    r.row(t).maxCoeff(&best);
    s.size(best) += w;
    for (int k = 0; k < s.parts(); ++k) {
      s.shares(k) += w * r(t, k);
      if (r(t, k) > 0) s.entropy -= w * r(t, k) * std::log(r(t, k));
      if (r(t, k) > kSeen) s.seen(k) += w;
      s.prior(k) += w * (k < gate.cols() ? (1 - raw.noise_weight) * gate(t, k) : raw.noise_weight);
    }
  }
}

void StreamingFit::end_pass() {
  State& s = *state_;
  ++s.passes;
  const ParameterMap map(s.estimate, s.settings);
  const bool better = s.objective >= s.best_objective - 1e-12 * std::abs(s.best_objective);
  if (better) {
    s.best = s.estimate;
    s.best_objective = s.objective;
    s.best_score = s.score;
    s.best_information = s.pass_information;
    s.damping = s.damping > 1e-6 ? s.damping / 10 : 0;
  } else {  // the step went too far: back, and a shorter one
    s.damping = s.damping == 0 ? 1e-3 : s.damping * 10;
  }
  double used = s.damping;
  const Vector step = newton_step(s.best_information, s.best_score, active(map, map.pack(s.best), s.best_score), used);
  s.damping = used;
  s.expected_gain = 0.5 * s.best_score.dot(step);
  const bool last = s.expected_gain < s.stream.gain || s.passes > s.stream.passes;
  if (last && better) {
    s.finished = true;  // this very pass evaluated the estimate
    return;
  }
  s.estimate = s.best;
  if (last) return;  // one more pass, to evaluate the best estimate
  map.unpack(map.pack(s.best) + step, s.estimate);
}

MixtureModel StreamingFit::model() const {
  return state_->scaling.to_raw(state_->estimate);
}

FitResult StreamingFit::result() const {
  const State& s = *state_;
  if (!s.finished) throw std::logic_error("StreamingFit::result() before the last pass");
  FitResult result;
  result.model = model().permuted(s.order());
  result.log_likelihood = s.objective - s.penalty + s.scaling.log_jacobian() * s.weight;
  result.converged = s.expected_gain < s.stream.gain;
  result.reason = result.converged ? StopReason::converged : StopReason::iteration_limit;
  result.score = s.best_score.size() ? s.best_score.cwiseAbs().maxCoeff() / s.weight : 0;
  result.rows = s.rows;
  result.effective_rows = s.weight;
  result.degrees_of_freedom = result.model.degrees_of_freedom() - s.undetermined.count(result.model);
  const double df = result.degrees_of_freedom;
  result.aic = -2 * result.log_likelihood + 2 * df;
  result.bic = -2 * result.log_likelihood + df * std::log(s.weight);
  result.entropy = s.entropy;
  result.icl = result.bic + 2 * result.entropy;
  result.shares = s.ordered(s.shares) / s.weight;
  result.sigma_floor = s.options.sigma_floor;
  result.gate_ridge = s.options.gate_ridge;
  const std::vector<int> order = s.order();
  result.ridge_reference = static_cast<int>(std::max_element(order.begin(), order.end()) - order.begin());
  result.iterations = s.passes;
  result.start = s.first.start;
  result.starts = s.first.starts;
  result.starts_agreed = s.first.starts_agreed;
  result.starts_polished = s.first.starts_polished;
  result.start_records = s.first.start_records;
  if (!result.converged)
    result.warnings.push_back(fmt::format(
        "The passes over the table ended (--passes {}) while another could still raise the log-likelihood by "
        "{:.2g}.",
        s.stream.passes, s.expected_gain));
  if (s.first.gate_separated)
    result.warnings.push_back(
        "The gate separates the first chunk; a larger --chunk-rows may give it more to learn from.");
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - s.begin).count();
  return result;
}

void StreamingFit::begin_inference(const InferenceOptions& options) {
  if (options.standard_errors == StandardErrorKind::cluster)
    user_error("standard errors by cluster do not go with --stream: a chunk could cut a cluster");
  State& s = *state_;
  s.final_result = result();
  s.inference_options = options;
  s.sums.emplace(s.final_result, s.scaling, options.standard_errors, s.settings.threads);
}

void StreamingFit::add_to_inference(const Data& chunk) {
  state_->sums->add(chunk);
}

Inference StreamingFit::inference(const ModelNames& names) const {
  return detail::infer_from_sums(state_->final_result, names, state_->inference_options, *state_->sums);
}

Allocation StreamingFit::allocation() const {
  const State& s = *state_;
  Allocation a{s.ordered(s.prior) / s.weight, s.ordered(s.size), Vector::Zero(s.parts())};
  const Vector seen = s.ordered(s.seen);
  for (Index k = 0; k < a.ratio.size(); ++k)
    a.ratio(k) = seen(k) > 0 ? a.size(k) / seen(k) : std::numeric_limits<double>::quiet_NaN();
  return a;
}

}  // namespace clearway
