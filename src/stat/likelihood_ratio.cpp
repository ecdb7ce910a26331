#include "clearway/stat/likelihood_ratio.hpp"

#include <algorithm>
#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <optional>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/stat/summary.hpp"
#include "nesting.hpp"
#include "refit.hpp"
#include "scaling.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr int kBatch = 32;           // replications between two looks at the stopping rule: fixed, whatever the threads
constexpr int kThoroughStarts = 24;  // when the larger model first fell below the smaller one
constexpr double kBelow = 1e-6;      // log-likelihood units that are rounding

Data with_response(const Data& inputs, const Matrix& response) {
  Data data = inputs;
  data.response = response;
  return data;
}

// A start for the alternative with (nearly) the density of a fitted null: nothing where there is no simple one. Further
// experts are copies of present ones that share their weight, moved apart by a part of the noise.
std::optional<MixtureModel> start_from_null(const MixtureModel& null, const TestedModel& alternative,
                                            const Data& null_data, RandomStream& stream) {
  const FitOptions& options = alternative.options;
  if (options.distinct_kinds().size() > 1) return std::nullopt;
  const Data& data = *alternative.data;
  const GateSpec& gate = null.gate.spec();
  const auto equal = [](const Matrix& a, const Matrix& b) { return a.cols() == b.cols() && a == b; };
  const bool same_inputs =
      equal(null_data.expert_inputs, data.expert_inputs) && equal(null_data.gate_inputs, data.gate_inputs);
  MixtureModel prototype;
  prototype.gate = Gate(options.gate, static_cast<int>(data.gate_inputs.cols()), options.experts);
  prototype.experts.assign(static_cast<std::size_t>(options.experts),
                           Expert(options.expert, static_cast<int>(data.expert_inputs.cols()),
                                  static_cast<int>(data.response.cols()), data.classes, data.attributes));
  if (null.expert_count() == options.experts) {
    // On the working scale of a multinomial expert the columns of an attribute have scales of their own.
    if (has_class_logits(options.expert.kind) && options.expert.kind != null.experts.front().spec().kind)
      return std::nullopt;
    if (same_inputs) {
      const detail::Scaling scaling(data, prototype);
      return scaling.to_raw(detail::enlarge(scaling.to_standard(null), prototype));
    }
    // More inputs: the further coefficients begin at 0.
    const bool simple = options.expert.kind == null.experts.front().spec().kind && options.gate.kind == gate.kind &&
                        (gate.kind == GateKind::softmax || gate.kind == GateKind::constant) &&
                        data.response.cols() == 1 && !has_classes(options.expert.kind) &&
                        options.expert.kind != ExpertKind::network &&
                        options.expert.kind != ExpertKind::heteroscedastic;
    if (!simple) return std::nullopt;
    const std::optional<Matrix> in_experts = detail::coefficients_in(null_data.expert_inputs, data.expert_inputs);
    const std::optional<Matrix> in_gate = detail::coefficients_in(null_data.gate_inputs, data.gate_inputs);
    if (!in_experts || (!in_gate && gate.kind != GateKind::constant)) return std::nullopt;
    for (std::size_t k = 0; k < prototype.experts.size(); ++k) {
      const Vector& from = null.experts[k].parameters();
      Vector& to = prototype.experts[k].parameters();
      const bool constant = options.expert.kind == ExpertKind::constant;
      const Index from_affine = constant ? 1 : in_experts->cols(), to_affine = constant ? 1 : in_experts->rows();
      to.head(to_affine) = constant ? from.head(1) : Vector(*in_experts * from.head(from_affine));
      to.tail(to.size() - to_affine) = from.tail(from.size() - from_affine);
      if (gate.kind == GateKind::constant) continue;
      prototype.gate.block(static_cast<int>(k)) = *in_gate * null.gate.block(static_cast<int>(k));
    }
    if (gate.kind == GateKind::constant) prototype.gate.parameters() = null.gate.parameters();
    return prototype;
  }
  const bool linear_gate = options.gate.kind == GateKind::softmax || options.gate.kind == GateKind::constant ||
                           options.gate.kind == GateKind::quadratic;
  const bool same_kinds = options.expert.kind == null.experts.front().spec().kind &&
                          (options.gate.kind == gate.kind || null.expert_count() == 1);
  if (!same_inputs || !same_kinds || !linear_gate || options.experts < null.expert_count()) return std::nullopt;
  for (int k = 0; k < options.experts; ++k) {
    const int parent = k % null.expert_count();
    const int copies = (options.experts - parent - 1) / null.expert_count() + 1;
    Expert& expert = prototype.experts[static_cast<std::size_t>(k)];
    expert.parameters() = null.experts[static_cast<std::size_t>(parent)].parameters();
    if (copies > 1) expert.parameters()(0) += (expert.has_sigma() ? 0.5 * expert.sigma() : 0.2) * stream.normal();
    if (null.expert_count() > 1) prototype.gate.block(k) = null.gate.block(parent);
    prototype.gate.block(k)(0) -= options.gate.temperature * std::log(static_cast<double>(copies));
  }
  prototype.gate.pin();
  return prototype;
}

// Both fits of one data set.
struct Pair {
  FitResult null, alternative;
  bool refitted = false;
};

Pair fit_pair(const TestedModel& null, const TestedModel& alternative, FitOptions null_options,
              FitOptions alternative_options, RandomStream& stream) {
  const auto seed = [&] { return static_cast<std::int64_t>(stream.index(std::uint64_t{1} << 62)); };
  Pair pair;
  null_options.seed = seed();
  pair.null = fit(*null.data, null_options, null.start);
  alternative_options.seed = seed();
  const std::optional<MixtureModel> from_null = start_from_null(pair.null.model, alternative, *null.data, stream);
  const MixtureModel* start = alternative.start ? alternative.start : from_null ? &*from_null : nullptr;
  pair.alternative = fit(*alternative.data, alternative_options, start);
  if (pair.alternative.log_likelihood < pair.null.log_likelihood - kBelow) {
    pair.refitted = true;
    alternative_options.seed = seed();
    alternative_options.starts = kThoroughStarts;
    alternative_options.polished = kThoroughStarts / 4;
    FitResult again = fit(*alternative.data, alternative_options, from_null ? &*from_null : start);
    if (again.log_likelihood > pair.alternative.log_likelihood) pair.alternative = std::move(again);
  }
  return pair;
}

double statistic_of(const Pair& pair) {
  return 2 * (pair.alternative.log_likelihood - pair.null.log_likelihood);
}

// One simulated statistic; NaN when a fit failed.
struct Replication {
  double statistic = std::numeric_limits<double>::quiet_NaN();
  bool refitted = false;
};

void check_same_rows(const TestedModel& null, const TestedModel& alternative) {
  if (null.data == nullptr || alternative.data == nullptr) throw std::logic_error("a tested model needs data");
  const Data& a = *null.data;
  const Data& b = *alternative.data;
  const bool weights_differ = a.weights.size() != b.weights.size() || (a.weights.size() > 0 && a.weights != b.weights);
  if (a.response.rows() != b.response.rows() || a.response.cols() != b.response.cols() || a.response != b.response ||
      weights_differ)
    user_error("both models must be fitted to the same response, rows and weights");
  const auto differ = [](const Vector& x, const Vector& y) { return x.size() != y.size() || x != y; };
  if (differ(a.offset, b.offset)) user_error("both models must have the same offset");
  if (differ(a.trials, b.trials) || differ(a.event, b.event) || a.groups != b.groups || a.labels != b.labels)
    user_error("both models must see the same trials, censoring, groups and labels");
}

}  // namespace

double chi_square_p(double statistic, int degrees) {
  if (degrees < 1 || !std::isfinite(statistic)) return std::numeric_limits<double>::quiet_NaN();
  return boost::math::cdf(boost::math::complement(boost::math::chi_squared(degrees), std::max(0.0, statistic)));
}

MonteCarloP monte_carlo_p(int exceeding, int replications, bool sequential) {
  constexpr double kTail = 0.025;
  const double x = exceeding, n = replications;
  const auto beta = [](double a, double b, double p) {
    return boost::math::quantile(boost::math::beta_distribution<>(a, b), p);
  };
  MonteCarloP result{};
  if (replications == 0) return {std::numeric_limits<double>::quiet_NaN(), {0, 1}};
  // Besag and Clifford: stopped at the x-th of n, p = x / n; otherwise (x + 1) / (n + 1).
  result.p = sequential ? x / n : (x + 1) / (n + 1);
  result.interval.low = exceeding == 0 ? 0.0 : beta(x, n - x + 1, kTail);
  // A simulation stopped at an exceeding replication has seen x - 1 of n - 1 before it.
  const double before = sequential ? x - 1 : x;
  const double seen = sequential ? n - 1 : n;
  result.interval.high = before >= seen ? 1.0 : beta(before + 1, seen - before, 1 - kTail);
  return result;
}

LikelihoodRatioTest likelihood_ratio_test(const TestedModel& null, const TestedModel& alternative,
                                          const LikelihoodRatioOptions& options,
                                          const std::function<void(double, const std::string&)>& progress,
                                          const std::function<bool()>& stop) {
  check_options(options);
  check_same_rows(null, alternative);
  LikelihoodRatioTest test;
  test.nesting = nesting_of(null, alternative);
  if (!test.nesting.nested) user_error("the null is not nested in the alternative: {}", test.nesting.reasons.front());
  if (progress) progress(0, "fitting both models");

  RandomStream fit_stream(static_cast<std::uint64_t>(options.seed), 0);
  Pair observed = fit_pair(null, alternative, null.options, alternative.options, fit_stream);
  test.statistic = statistic_of(observed);
  test.null = std::move(observed.null);
  test.alternative = std::move(observed.alternative);
  test.degrees_of_freedom = test.alternative.degrees_of_freedom - test.null.degrees_of_freedom;
  const bool separated = test.null.gate_separated || test.alternative.gate_separated;
  if (separated) {
    test.nesting.regular = false;
    test.nesting.reasons.emplace_back(
        "A gate separates the data: its coefficients have no maximum, and chi-square "
        "does not hold.");
  }
  if (test.nesting.regular) test.chi_square_p = chi_square_p(test.statistic, test.degrees_of_freedom);
  if (test.statistic < -2 * kBelow)
    test.warnings.emplace_back(
        "The larger model ended below the smaller one: its optimum was not found; raise --starts.");
  if (test.null.reason == StopReason::degenerate || test.alternative.reason == StopReason::degenerate)
    test.warnings.emplace_back("An expert sits at the noise floor: the likelihood has no maximum to compare.");
  if (options.replications == 0) return test;

  // The statistic of data drawn from the null.
  const NoiseBox box = detail::noise_box(test.null.model, *null.data);
  const FitOptions null_options = detail::refit_options(test.null.model, null.options, options.data_starts, 0);
  const FitOptions alternative_options =
      detail::refit_options(test.alternative.model, alternative.options, options.data_starts, 0);
  const auto replicate = [&](std::size_t number) {
    Replication replication;
    RandomStream stream(static_cast<std::uint64_t>(options.seed), number + 1);
    try {
      const Matrix response = simulate(test.null.model, *null.data, stream, box).response;
      const Data null_data = with_response(*null.data, response);
      const Data alternative_data = with_response(*alternative.data, response);
      const TestedModel null_model{&null_data, null_options, &test.null.model};
      const TestedModel alternative_model{&alternative_data, alternative_options, nullptr};
      const Pair pair = fit_pair(null_model, alternative_model, null_options, alternative_options, stream);
      replication.statistic = statistic_of(pair);
      replication.refitted = pair.refitted;
    } catch (const std::exception&) {
      replication.statistic = std::numeric_limits<double>::quiet_NaN();  // counted by the caller
    }
    return replication;
  };

  const double observed_statistic = test.statistic - kBelow;
  for (int begin = 0; begin < options.replications && !test.stopped_early && !test.interrupted; begin += kBatch) {
    const int count = std::min(kBatch, options.replications - begin);
    std::vector<Replication> batch(static_cast<std::size_t>(count));
    std::vector<char> done(batch.size(), 0);
    parallel_for(batch.size(), options.threads, [&](std::size_t i) {
      if (stop && stop()) return;
      batch[i] = replicate(static_cast<std::size_t>(begin) + i);
      done[i] = 1;
    });
    for (std::size_t i = 0; i < batch.size() && !test.stopped_early; ++i) {
      if (!done[i]) {
        test.interrupted = true;
        break;
      }
      if (!std::isfinite(batch[i].statistic)) {
        ++test.failures;
        continue;
      }
      test.replications.push_back(batch[i].statistic);
      test.refitted += batch[i].refitted ? 1 : 0;
      test.exceeding += batch[i].statistic >= observed_statistic ? 1 : 0;
      test.stopped_early = options.stop_after > 0 && test.exceeding >= options.stop_after;
    }
    if (progress)
      progress(static_cast<double>(begin + count) / options.replications,
               fmt::format("replication {} of {}", begin + count, options.replications));
  }
  const MonteCarloP p = monte_carlo_p(test.exceeding, static_cast<int>(test.replications.size()), test.stopped_early);
  test.bootstrap_p = p.p;
  test.bootstrap_interval = p.interval;
  return test;
}

std::string likelihood_ratio_text(const LikelihoodRatioTest& test, int digits) {
  std::string text = "Likelihood-ratio test: ";
  for (std::size_t i = 0; i < test.nesting.differences.size(); ++i)
    text += (i > 0 ? ", " : "") + test.nesting.differences[i];
  const auto line = [&](const char* name, const FitResult& result) {
    text += fmt::format("  {:<12} log-likelihood {:.4f}, df {}, BIC {:.2f}, {}\n", name, result.log_likelihood,
                        result.degrees_of_freedom, result.bic, enum_name(result.reason));
  };
  text += "\n\n";
  line("null", test.null);
  line("alternative", test.alternative);
  text += fmt::format("\n  statistic 2 (l1 - l0) = {} with {} more parameters\n", table_number(test.statistic, digits),
                      test.degrees_of_freedom);
  if (test.nesting.regular)
    text += fmt::format("  chi-square   p = {}\n", table_number(test.chi_square_p, 4));
  else
    text += "  chi-square   does not apply\n";
  if (!test.replications.empty()) {
    text += fmt::format(
        "  bootstrap    p = {} (95 % Monte Carlo interval {:.4f} to {:.4f}), {} of {} replications at "
        "least as large{}\n",
        table_number(test.bootstrap_p, 4), test.bootstrap_interval.low, test.bootstrap_interval.high, test.exceeding,
        test.replications.size(), test.stopped_early ? "; stopped early, the answer is clear" : "");
    if (test.failures > 0 || test.refitted > 0)
      text += fmt::format("  {} replications without a fit, {} searched again because the larger model fell short\n",
                          test.failures, test.refitted);
  }
  text += '\n';
  for (const std::string& reason : test.nesting.reasons) text += reason + '\n';
  for (const std::string& warning : test.warnings) text += "Warning: " + warning + '\n';
  return text;
}

}  // namespace clearway
