#include "clearway/stat/study_rates.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "clearway/base/parallel.hpp"
#include "clearway/base/text.hpp"
#include "rate_presets.hpp"
#include "study_statistics.hpp"

namespace clearway {
namespace {

constexpr std::int64_t kLeastRows = 50;
constexpr std::int64_t kMostRows = 1000000000;

double number_of(std::string_view text, const std::string& all) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    user_error("rows must be LOW:HIGH:COUNT or a list of sizes, not {}", quoted_for_message(all));
  return value;
}

std::vector<double> numbers_of(const std::string& text, char separator) {
  std::vector<double> values;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    values.push_back(number_of(std::string_view(text).substr(begin, end - begin), text));
    begin = end + 1;
  }
  return values;
}

void check_rows(const std::vector<double>& sizes, const std::string& text) {
  for (const double size : sizes)
    if (!(size >= static_cast<double>(kLeastRows) && size <= static_cast<double>(kMostRows)))
      user_error("rows must lie between {} and {}, not {} in {}", kLeastRows, kMostRows, size,
                 quoted_for_message(text));
}

bool is_over(RateQuantity quantity) {
  return quantity >= RateQuantity::gate_slope_over && quantity <= RateQuantity::expert_over_by_share;
}

std::vector<std::vector<double>> errors_by_rows(const RateStudy& study, int fitted, RateQuantity quantity) {
  std::vector<std::vector<double>> errors(study.rows.size());
  for (const RateTrial& trial : study.trials) {
    if (trial.fitted != fitted) continue;
    const auto at = std::find(study.rows.begin(), study.rows.end(), trial.rows) - study.rows.begin();
    errors[static_cast<std::size_t>(at)].push_back(trial.error(quantity));
  }
  return errors;
}

const PublishedSlope* published_slope(const RateProblem& problem, int fitted, RateQuantity quantity) {
  for (const PublishedSlope& published : problem.published)
    if (published.fitted == fitted && published.quantity == quantity) return &published;
  return nullptr;
}

// Every expert of a preset gets this noise: what was published for another one is not beside it then.
void set_noise(RateProblem& problem, double noise) {
  for (Expert& expert : problem.truth.experts) {
    if (!expert.has_sigma())
      user_error("noise: the {} experts of preset {} have no noise deviation", enum_name(expert.spec().kind),
                 problem.name);
    expert.set_sigma(noise);
  }
  problem.published.clear();
  problem.title += fmt::format(", noise {}", noise);
}

}  // namespace

std::vector<std::int64_t> rate_rows(const std::string& text) {
  std::vector<double> sizes;
  if (text.find(':') != std::string::npos) {
    const std::vector<double> range = numbers_of(text, ':');
    if (range.size() != 3) user_error("rows must be LOW:HIGH:COUNT, not {}", quoted_for_message(text));
    check_rows({range[0], range[1]}, text);
    const double count = range[2];
    if (!(count >= 2 && count <= 1000 && count == std::floor(count)))
      user_error("rows: COUNT in LOW:HIGH:COUNT must be a whole number from 2 to 1000, not {}", count);
    for (int i = 0; i < static_cast<int>(count); ++i)
      sizes.push_back(range[0] * std::pow(range[1] / range[0], i / (count - 1)));
  } else {
    sizes = numbers_of(text, ',');
    check_rows(sizes, text);
  }
  std::vector<std::int64_t> rows;
  rows.reserve(sizes.size());
  for (const double size : sizes) rows.push_back(std::llround(size));
  if (rows.size() < 2) user_error("rows must be at least 2 sizes, a slope needs them");
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (rows[i] <= rows[i - 1]) user_error("rows must increase: {} follows {}", rows[i], rows[i - 1]);
  return rows;
}

RateProblem rate_problem(const RateStudyOptions& options) {
  check_options(options);
  RateProblem problem;
  if (options.preset.empty()) {
    problem = detail::free_problem(options);
  } else {
    problem = detail::preset_problem(options.preset);
    const auto refuse = [&](bool given, std::string_view name) {
      if (given) user_error("{} belongs to the free form; preset {} has its own", name, options.preset);
    };
    refuse(!options.gate.empty(), "gate");
    refuse(!options.expert.empty(), "expert");
    refuse(!options.method.empty(), "method");
    refuse(options.dim > 0, "dim");
    if (options.true_experts > 0 && options.true_experts != problem.truth.expert_count())
      user_error("preset {} has {} true experts, not {}", options.preset, problem.truth.expert_count(),
                 options.true_experts);
    if (options.noise > 0) set_noise(problem, options.noise);
  }
  if (!options.fitted.empty()) problem.fitted = options.fitted;
  for (std::size_t i = 0; i < problem.fitted.size(); ++i) {
    if (problem.fitted[i] < problem.truth.expert_count())
      user_error("fitted must be at least the number of true experts, {}, not {}", problem.truth.expert_count(),
                 problem.fitted[i]);
    if (std::count(problem.fitted.begin(), problem.fitted.end(), problem.fitted[i]) > 1)
      user_error("fitted names {} twice", problem.fitted[i]);
  }
  return problem;
}

GateSpec RateProblem::fitted_gate(int k) const {
  GateSpec spec = truth.gate.spec();
  if (spec.top_k > 0) spec.top_k += k - truth.expert_count();
  return spec;
}

RateStudy run_rate_study(const RateStudyOptions& options, const std::vector<RateTrial>& known,
                         const RateRecorder& record, const RateProgress& progress) {
  RateStudy study{options, rate_problem(options), rate_rows(options.rows), {}};
  const RateErrors errors(study.problem);

  using Key = std::tuple<int, std::int64_t, int>;
  std::map<Key, const RateTrial*> done;
  for (const RateTrial& trial : known) done[{trial.fitted, trial.rows, trial.trial}] = &trial;
  // In the order of the result: fitted, rows, trial. They are made trial by trial, so that the time of the first ones
  // says how long the others will take.
  const std::size_t sizes = study.rows.size();
  const std::size_t fits = study.problem.fitted.size();
  const auto trials = static_cast<std::size_t>(options.trials);
  study.trials.resize(fits * sizes * trials);
  std::vector<std::size_t> open;
  for (std::size_t trial = 0; trial < trials; ++trial)
    for (std::size_t i = 0; i < fits * sizes; ++i) {
      const std::size_t slot = i * trials + trial;
      const Key key{study.problem.fitted[i / sizes], study.rows[i % sizes], static_cast<int>(trial)};
      if (const auto found = done.find(key); found != done.end())
        study.trials[slot] = *found->second;
      else
        open.push_back(slot);
    }

  std::mutex lock;
  std::size_t finished = 0;
  if (progress) progress(0.0, fmt::format("{} fits", open.size()));
  parallel_for(open.size(), options.threads, [&](std::size_t task) {
    const std::size_t slot = open[task];
    const std::size_t cell = slot / trials;
    RateTrial result = run_rate_trial(study.problem, errors, study.problem.fitted[cell / sizes],
                                      study.rows[cell % sizes], static_cast<int>(slot % trials), options);
    const std::lock_guard guard(lock);
    if (record) record(result);
    ++finished;
    if (progress)
      progress(static_cast<double>(finished) / static_cast<double>(open.size()),
               fmt::format("{}, {} rows, {} experts, trial {}", study.problem.name, result.rows, result.fitted,
                           result.trial + 1));
    study.trials[slot] = std::move(result);
  });
  return study;
}

std::optional<double> theoretical_exponent(const RateProblem& problem, int fitted, RateQuantity quantity) {
  const int cell = problem.largest_cell(fitted);
  if (cell > 1 && problem.over_misses_truth) return std::nullopt;
  if (quantity == RateQuantity::regression || quantity == RateQuantity::density) return -0.5;
  if (quantity == RateQuantity::first_order_loss && cell > 1) return std::nullopt;  // its terms have different rates
  // One loss bounds them all: where theory has none for shared experts, it says nothing of the others beside them.
  if (cell > 1 && (!problem.over_rates || cell > problem.known_cells)) return std::nullopt;
  if (!is_over(quantity)) return problem.exact_rates ? std::optional(-0.5) : std::nullopt;
  if (cell < 2) return std::nullopt;
  const VoronoiExponents p = problem.exponents(cell);
  switch (quantity) {
    case RateQuantity::gate_slope_over:
      return -0.5 / p.gate_slope;
    case RateQuantity::expert_slope_over:
      return -0.5 / p.expert_slope;
    case RateQuantity::expert_intercept_over:
      return -0.5 / p.expert_intercept;
    case RateQuantity::variance_over:
      return -0.5 / p.variance;
    default:
      return -0.5 / std::max(p.expert_slope, p.expert_intercept);
  }
}

std::string rate_verdict(const RateSlope& slope, std::optional<double> theory, std::optional<double> theory_with_log) {
  if (!slope.known()) return "not measured";
  if (!theory) return "no rate known";
  const double low = std::min(*theory, theory_with_log.value_or(*theory));
  const double high = std::max(*theory, theory_with_log.value_or(*theory));
  if (slope.low <= high && slope.high >= low) return "agrees";
  if (slope.slope > high) return fmt::format("shallower by {:.2f}", slope.slope - high);
  return fmt::format("steeper by {:.2f}", low - slope.slope);
}

std::vector<RateLine> rate_lines(const RateStudy& study) {
  const std::vector<double> rows(study.rows.begin(), study.rows.end());
  std::vector<RateLine> lines;
  for (const int fitted : study.problem.fitted)
    for (const auto& [quantity, name, help] : enum_names(RateQuantity{})) {
      const auto errors = errors_by_rows(study, fitted, quantity);
      RateLine line;
      line.fitted = fitted;
      line.quantity = quantity;
      bool any = false;
      for (const std::vector<double>& of_size : errors) {
        std::vector<double> known = of_size;
        std::erase_if(known, [](double error) { return std::isnan(error); });
        any = any || !known.empty();
        double sum = 0;
        for (const double error : known) sum += error;
        line.mean.push_back(known.empty() ? std::numeric_limits<double>::quiet_NaN()
                                          : sum / static_cast<double>(known.size()));
        line.median.push_back(detail::median(known));
        line.lower_quartile.push_back(detail::quantile(known, 0.25));
        line.upper_quartile.push_back(detail::quantile(known, 0.75));
      }
      if (!any) continue;
      line.slope = rate_slope(rows, errors, study.options.resamples, static_cast<std::uint64_t>(study.options.seed));
      line.theory = theoretical_exponent(study.problem, fitted, quantity);
      if (line.theory) line.theory_with_log = power_of_log_slope(rows, -*line.theory);
      if (const PublishedSlope* published = published_slope(study.problem, fitted, quantity))
        line.published = *published;
      line.verdict = rate_verdict(line.slope, line.theory, line.theory_with_log);
      lines.push_back(std::move(line));
    }
  return lines;
}

std::vector<int> rate_failures(const RateStudy& study, int fitted) {
  std::vector<int> failures(study.rows.size(), 0);
  for (const RateTrial& trial : study.trials) {
    if (trial.fitted != fitted || trial.converged) continue;
    const auto at = std::find(study.rows.begin(), study.rows.end(), trial.rows) - study.rows.begin();
    ++failures[static_cast<std::size_t>(at)];
  }
  return failures;
}

}  // namespace clearway
