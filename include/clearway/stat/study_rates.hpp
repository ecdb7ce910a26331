// How fast a mixture of experts is learned: errors against the number of rows, their slope on log-log paper, and the
// exponent that theory gives beside it.
//
// A study has one true mixture (a preset from a paper, or a free choice of gate and experts), sample sizes, numbers of
// fitted experts and trials. In every trial data are drawn, a mixture is fitted and compared with the truth: Voronoi
// losses (core/voronoi.hpp), errors of each kind of parameter, error of the regression function, Hellinger distance of
// the conditional density. docs/rates.md states protocol and presets; Nguyen, Nguyen and Ho 2023 (arXiv 2305.03288) and
// Nguyen, Ho and Rinaldo 2024 (arXiv 2402.02952) for the idea.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "clearway/core/voronoi.hpp"
#include "clearway/stat/fit.hpp"
#include "clearway/stat/rate_slope.hpp"

namespace clearway {

/// Where the fits of a study begin.
enum class RateStart { data, truth };
inline std::span<const EnumName<RateStart>> enum_names(RateStart) {
  static constexpr std::array<EnumName<RateStart>, 2> names{{
      {RateStart::data, "data", "from the data alone, as a user must"},
      {RateStart::truth, "truth", "near the truth, as the published simulations do"},
  }};
  return names;
}

/// What is measured in every trial. "exact": true experts for which one fitted expert stands; "over": those that several
/// share. Errors of parameters are the largest over the experts of that sort, unweighted.
enum class RateQuantity {
  loss,
  first_order_loss,
  weight,
  gate_slope_exact,
  expert_slope_exact,
  expert_intercept_exact,
  variance_exact,
  gate_slope_over,
  expert_slope_over,
  expert_intercept_over,
  variance_over,
  expert_over_by_share,
  regression,
  density
};
constexpr int kRateQuantities = 14;
inline std::span<const EnumName<RateQuantity>> enum_names(RateQuantity) {
  static constexpr std::array<EnumName<RateQuantity>, kRateQuantities> names{{
      {RateQuantity::loss, "loss", "Voronoi loss with the exponents of theory"},
      {RateQuantity::first_order_loss, "first-order-loss", "Voronoi loss with every exponent 1"},
      {RateQuantity::weight, "weight", "weights of the cells"},
      {RateQuantity::gate_slope_exact, "gate-slope-exact", "gate slopes or centres"},
      {RateQuantity::expert_slope_exact, "expert-slope-exact", "slopes of the experts"},
      {RateQuantity::expert_intercept_exact, "expert-intercept-exact", "intercepts of the experts"},
      {RateQuantity::variance_exact, "variance-exact", "noise variances"},
      {RateQuantity::gate_slope_over, "gate-slope-over", "gate slopes or centres, shared experts"},
      {RateQuantity::expert_slope_over, "expert-slope-over", "slopes, shared experts"},
      {RateQuantity::expert_intercept_over, "expert-intercept-over", "intercepts, shared experts"},
      {RateQuantity::variance_over, "variance-over", "noise variances, shared experts"},
      {RateQuantity::expert_over_by_share, "expert-over-by-share",
       "slopes and intercepts, shared experts, averaged by their share of the rows"},
      {RateQuantity::regression, "regression", "regression function, root mean square over fixed inputs"},
      {RateQuantity::density, "density", "conditional density, Hellinger distance over fixed inputs"},
  }};
  return names;
}

/// Options of the study. What is left empty or 0 is the preset's own.
struct RateStudyOptions {
  std::string preset;  ///< a name of rate_presets(); empty: the free form
  std::string gate;
  std::string expert;
  std::string method;
  int true_experts = 0;
  std::vector<int> fitted;
  int dim = 0;
  double noise = 0;
  std::string rows = "1e3:1e5:8";
  int trials = 40;
  RateStart start = RateStart::data;
  int starts = 6;
  int start_rows = 1000;
  int resamples = 2000;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("preset", self.preset,
          OptionInfo{.help = "simulation of a paper, list to see them; without it, the free form", .metavar = "NAME"});
    field("gate", self.gate,
          OptionInfo{.help = "free form: gate of truth and fit, as for clearway fit; default softmax",
                     .metavar = "WORD"});
    field("expert", self.expert,
          OptionInfo{.help = "free form: experts of truth and fit, as for clearway fit; default linear",
                     .metavar = "WORD"});
    field("method", self.method,
          OptionInfo{.help = "free form: em (maximum likelihood) or least-squares; default em", .metavar = "WORD"});
    field("true-experts", self.true_experts,
          OptionInfo{
              .help = "experts of the truth", .minimum = 0, .maximum = 20, .off = "0, the preset's own; free form 2"});
    field("fitted", self.fitted,
          OptionInfo{
              .help = "numbers of experts to fit; default: the true number and one more", .minimum = 1, .maximum = 20});
    field("dim", self.dim, OptionInfo{.help = "free form: number of inputs; default 1", .minimum = 0, .maximum = 100});
    field("noise", self.noise,
          OptionInfo{
              .help = "noise standard deviation of every true expert; default: the preset's own, 0.3 in the free form",
              .minimum = 0});
    field("rows", self.rows,
          OptionInfo{.help = "sample sizes: LOW:HIGH:COUNT, evenly spaced in the logarithm, or a list",
                     .metavar = "SIZES"});
    field("trials", self.trials, OptionInfo{.help = "data sets per sample size", .minimum = 2, .maximum = 100000});
    field("start", self.start, OptionInfo{.help = "where fits begin"});
    field("starts", self.starts,
          OptionInfo{.help = "short runs in the tournament of one fit from the data", .minimum = 1, .maximum = 10000});
    field("start-rows", self.start_rows,
          OptionInfo{.help = "rows of the tournament of one fit from the data; its winner is carried on with all rows",
                     .minimum = 50});
    field("resamples", self.resamples,
          OptionInfo{.help = "bootstrap samples behind the interval of a slope", .minimum = 2, .maximum = 1000000});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads,
          OptionInfo{.help = "threads; 0 uses all cores; the result does not depend on it", .minimum = 0});
  }
};

/// A figure that a paper, or a recomputation of its published outputs, gives for a slope.
struct PublishedSlope {
  RateQuantity quantity = RateQuantity::loss;
  int fitted = 0;
  double slope = 0;
  std::string source;
};

/// How inputs are drawn, each coordinate on [low, high].
enum class RateInputs {
  grid,    ///< n equidistant points, ends included; one input only
  uniform  ///< independent and uniform
};

/// What is studied: a true mixture, how data come from it, how it is fitted and what theory says.
struct RateProblem {
  std::string name;   ///< of the preset, or "free"
  std::string title;  ///< a few words
  std::string paper;  ///< authors, where, number; empty for the free form
  MixtureModel truth;
  RateInputs inputs = RateInputs::uniform;
  double low = 0;
  double high = 1;
  FitMethod method = FitMethod::em;
  std::vector<int> fitted;                            ///< numbers of experts to fit
  VoronoiExponentRule exponents;                      ///< of the loss, in cells of several fitted experts
  int known_cells = std::numeric_limits<int>::max();  ///< largest cell for which the exponents are known
  /// Whether the parameters of the gate can be compared with the truth. If not, atoms are weighed by the average share of
  /// their experts, and nothing is said of gate slopes.
  bool gate_comparable = true;
  AtomWeight atom_weight = AtomWeight::exponential;
  bool over_rates = true;          ///< whether theory gives a power of n for the parameters of shared experts
  bool exact_rates = true;         ///< the same for the others
  bool over_misses_truth = false;  ///< fits with experts too many go to another model: none of their errors has a rate
  std::string theory;              ///< where the exponents come from, a sentence
  std::vector<PublishedSlope> published;
  std::vector<std::string> remarks;  ///< what to know when reading the result, a sentence each

  int dim() const { return truth.experts.front().inputs(); }
  /// The gate to fit `k` experts with: that of the truth; a top-k one selects as many more experts as there are more.
  GateSpec fitted_gate(int k) const;
  /// The largest cell that `k` fitted experts can make.
  int largest_cell(int k) const { return k - truth.expert_count() + 1; }
};

/// One preset: its name and its title.
struct RatePreset {
  std::string name;
  std::string title;
};
/// All presets, in the order of docs/rates.md.
std::vector<RatePreset> rate_presets();

/// The problem that the options ask for. Throws std::invalid_argument for an unknown preset, for options of the free form
/// beside a preset, and for what no problem can have.
RateProblem rate_problem(const RateStudyOptions& options);

/// The sample sizes, increasing. Throws std::invalid_argument naming the rule for anything but increasing whole numbers
/// from 50 on, at least two of them.
std::vector<std::int64_t> rate_rows(const std::string& text);

/// What one fit of one trial gave.
struct RateTrial {
  int fitted = 0;
  std::int64_t rows = 0;
  int trial = 0;
  bool converged = false;
  StopReason reason = StopReason::not_fitted;
  int iterations = 0;
  double objective = std::numeric_limits<double>::quiet_NaN();  ///< log-likelihood, or residual sum of squares
  std::string cells;                                            ///< fitted experts per true expert: "2+1"
  std::array<double, kRateQuantities> errors;                   ///< by RateQuantity; NaN: this fit has no such error
  std::vector<double> parameters;                               ///< of the gate, then of each expert

  RateTrial() { errors.fill(std::numeric_limits<double>::quiet_NaN()); }
  double error(RateQuantity quantity) const { return errors[static_cast<std::size_t>(quantity)]; }
  double& error(RateQuantity quantity) { return errors[static_cast<std::size_t>(quantity)]; }
};

struct RateStudy {
  RateStudyOptions options;
  RateProblem problem;
  std::vector<std::int64_t> rows;
  std::vector<RateTrial> trials;  ///< by fitted, then rows, then trial
};

/// Errors of a fitted model against the truth of a problem, on yardsticks that are made once: inputs at which regression
/// functions and densities are compared.
class RateErrors {
 public:
  explicit RateErrors(const RateProblem& problem);
  /// Fills cells and errors of `trial`.
  void measure(const MixtureModel& fitted, RateTrial& trial) const;

 private:
  void measure_parameters(const MixtureModel& fitted, RateTrial& trial) const;
  Vector average_weights(const Gate& gate) const;
  void measure_functions(const MixtureModel& fitted, RateTrial& trial) const;

  const RateProblem* problem_;
  Data inputs_;          ///< for the regression function
  Matrix true_mean_;     ///< at inputs_
  Data density_points_;  ///< inputs and responses of a grid
  Vector true_root_;     ///< square roots of the true density there
  Vector quadrature_;    ///< weight of each point
};

/// The data of one trial: a function of its arguments only.
Data rate_data(const RateProblem& problem, std::int64_t rows, int trial, std::int64_t seed);

/// One fit of one trial: a function of its arguments only.
RateTrial run_rate_trial(const RateProblem& problem, const RateErrors& errors, int fitted, std::int64_t rows, int trial,
                         const RateStudyOptions& options);

/// Called now and then with a fraction in [0, 1] and a few words, from one thread at a time.
using RateProgress = std::function<void(double fraction, const std::string& what)>;
/// Called with every finished fit, from one thread at a time, in no particular order.
using RateRecorder = std::function<void(const RateTrial& trial)>;

/// Runs the study; fits in `known` (of the same options) are taken over instead of being made again. The result is the
/// same for any number of threads and whatever is known.
RateStudy run_rate_study(const RateStudyOptions& options, const std::vector<RateTrial>& known = {},
                         const RateRecorder& record = {}, const RateProgress& progress = {});

/// One quantity of the fits with one number of experts.
struct RateLine {
  int fitted = 0;
  RateQuantity quantity = RateQuantity::loss;
  std::vector<double> median, mean, lower_quartile, upper_quartile;  ///< by sample size
  RateSlope slope;
  std::optional<double> theory;           ///< exponent of n, without the logarithm; negative
  std::optional<double> theory_with_log;  ///< slope of (log n / n)^-theory at these sizes
  std::optional<PublishedSlope> published;
  std::string verdict;
};

/// The exponent of n that theory gives for a quantity, or nothing where it gives none.
std::optional<double> theoretical_exponent(const RateProblem& problem, int fitted, RateQuantity quantity);

/// "agrees" when the interval meets the range from the exponent to its form with the logarithm; else "shallower by ..."
/// or "steeper by ...", the distance of the slope from that range.
std::string rate_verdict(const RateSlope& slope, std::optional<double> theory, std::optional<double> theory_with_log);

/// Every quantity that the study has, by fitted, then quantity.
std::vector<RateLine> rate_lines(const RateStudy& study);
/// Fits that did not converge, by sample size.
std::vector<int> rate_failures(const RateStudy& study, int fitted);

/// The tables, for reading.
std::string rates_text(const RateStudy& study);
/// Problem, lines and verdicts as one JSON object.
std::string rates_json(const RateStudy& study);
/// The header of the table of trials, and one fit as one line of it (both end in a line feed).
std::string rate_trials_header();
std::string rate_trial_line(const RateTrial& trial);
/// The whole table, in the order of study.trials.
std::string rate_trials_csv(const RateStudy& study);
/// Reads the table back, bit for bit. A last line without line feed (a crash while writing) is left out. Throws
/// std::invalid_argument naming `source` and the line for anything else that is no such table.
std::vector<RateTrial> parse_rate_trials(const std::string& text, const std::string& source);

}  // namespace clearway
