// Fitting a mixture of experts: options, result, and the one function that does it.
//
// The default is a tournament: short runs of EM from spectral, k-means, local-plane and random starts; the best are
// polished by accelerated EM and Newton's method; the winner and how many starts agreed are reported
// (science: Makkuva et al. 2019 for the spectral start; the tournament is ours, see docs/estimation.md).
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "clearway/stat/mixture_model.hpp"

namespace clearway {

enum class FitMethod { automatic, spectral, em, cem, sem, least_squares };
inline std::span<const EnumName<FitMethod>> enum_names(FitMethod) {
  static constexpr std::array<EnumName<FitMethod>, 6> names{{
      {FitMethod::automatic, "auto", "spectral and several other starts, the best is kept"},
      {FitMethod::spectral, "spectral", "spectral start, gate by EM, joint EM as polish"},
      {FitMethod::em, "em", "EM from k-means, local-plane and random starts"},
      {FitMethod::cem, "cem", "classification EM from the optimum of EM: every row belongs to one expert wholly"},
      {FitMethod::sem, "sem", "stochastic EM from the optimum of EM: memberships are drawn, estimates averaged"},
      {FitMethod::least_squares, "least-squares", "no mixture: y is the gate's average of the experts plus noise"},
  }};
  return names;
}

enum class NoiseKind { none, uniform };
inline std::span<const EnumName<NoiseKind>> enum_names(NoiseKind) {
  static constexpr std::array<EnumName<NoiseKind>, 2> names{{
      {NoiseKind::none, "none", "no noise component"},
      {NoiseKind::uniform, "uniform", "uniform over the range of the response: catches gross outliers"},
  }};
  return names;
}

enum class Acceleration { squarem, none };
inline std::span<const EnumName<Acceleration>> enum_names(Acceleration) {
  static constexpr std::array<EnumName<Acceleration>, 2> names{{
      {Acceleration::squarem, "squarem", "squared extrapolation, guarded by the likelihood"},
      {Acceleration::none, "none", "plain EM"},
  }};
  return names;
}

/// Where a run of EM began.
enum class StartKind { spectral, kmeans, planes, random, reseeded, nested, user, regions };
inline std::span<const EnumName<StartKind>> enum_names(StartKind) {
  static constexpr std::array<EnumName<StartKind>, 8> names{{
      {StartKind::spectral, "spectral", "regressors from cross-moment tensors"},
      {StartKind::kmeans, "kmeans", "k-means++ on standardised (x, 1.5 y)"},
      {StartKind::planes, "planes", "local planes through random neighbourhoods"},
      {StartKind::random, "random", "random memberships"},
      {StartKind::reseeded, "reseeded", "the best solution, one expert moved to the rows explained worst"},
      {StartKind::nested, "nested", "the optimum of a smaller model"},
      {StartKind::user, "user", "given by the caller"},
      {StartKind::regions, "regions", "k-means++ on the gate inputs"},
  }};
  return names;
}

/// Options of fit(). Every field has a default; the sentence beside it in visit() is the help text.
struct FitOptions {
  int experts = 2;
  GateSpec gate;
  ExpertSpec expert;  ///< of all experts, or what they share when their kinds differ
  std::vector<ExpertKind> expert_kinds = {
      ExpertKind::linear};  ///< two or more: one for each expert; else `expert.kind`
  NoiseKind noise = NoiseKind::none;
  FitMethod method = FitMethod::automatic;
  int starts = 0;  ///< 0: 12 (more for few rows), and more while the best two disagree (up to max_starts)
  int max_starts = 500;
  int short_iterations = 25;
  int polished = 2;
  int start_rows = 5000;  ///< the tournament runs on at most so many rows
  int max_iterations = 2000;
  double tolerance = 1e-8;  ///< largest component of the mean score in standardised units
  Acceleration acceleration = Acceleration::squarem;
  bool newton = true;
  double sigma_floor = 1e-3;  ///< smallest noise level, relative to the standard deviation of the response
  bool keep_degenerate = false;
  double gate_ridge = 0.0;  ///< penalty on standardised gate slopes; 0: off unless the gate separates
  double separation_ridge = 0.01;
  double trim = 0.0;  ///< share of the rows left out: those that the model explains worst
  std::int64_t seed = 1;
  int threads = 0;
  Constraints constraints = {};  ///< fixed and shared parameters; by name: constraints.hpp

  /// After expert_kinds was set by name: `expert.kind` is its first.
  void settle() {
    if (!expert_kinds.empty()) expert.kind = expert_kinds.front();
  }
  /// The specification of every expert. Throws std::invalid_argument when there are kinds for another number of experts.
  std::vector<ExpertSpec> expert_specs() const;
  /// The different kinds of the experts, in the order of their first expert.
  std::vector<ExpertKind> distinct_kinds() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("experts", self.experts, OptionInfo{.help = "number of experts", .minimum = 1, .maximum = 1000});
    GateSpec::visit(self.gate, field);
    field("expert", self.expert_kinds,
          OptionInfo{.help = "likelihood and mean function of the experts: one for all, or a list with one for each",
                     .metavar = "WORD,..."});
    field("degree", self.expert.degree, OptionInfo{.help = "power of polynomial experts", .minimum = 1, .maximum = 9});
    field("leak", self.expert.leak,
          OptionInfo{.help = "slope of leaky-relu experts below zero", .minimum = 0, .maximum = 1});
    field("hidden", self.expert.hidden,
          OptionInfo{.help = "hidden units of network experts", .minimum = 1, .maximum = 200});
    field("link", self.expert.link, OptionInfo{.help = "mean of gamma and inverse-gaussian experts"});
    field("variance", self.expert.variance, OptionInfo{.help = "own or shared noise level"});
    field("variance-divisor", self.expert.divisor, OptionInfo{.help = "divisor of the noise estimate"});
    field("covariance", self.expert.covariance, OptionInfo{.help = "noise covariance of a vector response"});
    field("noise", self.noise, OptionInfo{.help = "extra component for outliers", .off = "none"});
    field("method", self.method,
          OptionInfo{.help = "the estimator, and where the starting values come from",
                     .source = "Makkuva et al., ICML 2019; Nguyen et al., ICML 2024"});
    field("starts", self.starts,
          OptionInfo{.help = "short runs in the tournament; 0 adapts from 12 upward to disagreement",
                     .minimum = 0,
                     .maximum = 100000});
    field("max-starts", self.max_starts,
          OptionInfo{.help = "most short runs when their number adapts", .minimum = 1, .maximum = 100000});
    field("short-iterations", self.short_iterations, OptionInfo{.help = "EM iterations of a short run", .minimum = 1});
    field("polished", self.polished, OptionInfo{.help = "short runs that are carried to convergence", .minimum = 1});
    field(
        "start-rows", self.start_rows,
        OptionInfo{.help = "rows used by the tournament, a random sample of them where there are more", .minimum = 50});
    field("max-iterations", self.max_iterations,
          OptionInfo{.help = "most EM iterations of a polished run", .minimum = 0});
    field("tolerance", self.tolerance,
          OptionInfo{
              .help = "convergence: largest mean score in standardised units", .minimum = 0, .above_minimum = true});
    field("acceleration", self.acceleration,
          OptionInfo{.help = "acceleration of EM", .off = "none", .source = "Varadhan and Roland 2008"});
    field("newton", self.newton,
          OptionInfo{.help = "finish with Newton's method on the observed information", .off = "false"});
    field("sigma-floor", self.sigma_floor,
          OptionInfo{.help = "smallest noise level, relative to the standard deviation of the response",
                     .minimum = 0,
                     .maximum = 1,
                     .above_minimum = true});
    field("keep-degenerate", self.keep_degenerate,
          OptionInfo{.help = "let a solution with an expert at the noise floor win", .off = "false"});
    field("gate-ridge", self.gate_ridge,
          OptionInfo{.help = "ridge penalty on standardised gate coefficients, per row", .minimum = 0, .off = "0"});
    field("separation-ridge", self.separation_ridge,
          OptionInfo{.help = "ridge penalty on standardised gate coefficients when the gate separates the data",
                     .minimum = 0,
                     .off = "0"});
    field("trim", self.trim,
          OptionInfo{.help = "share of the rows to leave out: those that the model explains worst",
                     .minimum = 0,
                     .maximum = 0.5,
                     .off = "0",
                     .source = "Neykov et al. 2007"});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0, .maximum = 4096});
  }
};

/// Why fitting stopped.
enum class StopReason { not_fitted, converged, iteration_limit, no_progress, degenerate, settled };
inline std::span<const EnumName<StopReason>> enum_names(StopReason) {
  static constexpr std::array<EnumName<StopReason>, 6> names{{
      {StopReason::not_fitted, "not-fitted", "fit() has not run yet"},
      {StopReason::converged, "converged", "the score is zero to the tolerance"},
      {StopReason::iteration_limit, "iteration-limit", "the iteration limit was reached first"},
      {StopReason::no_progress, "no-progress", "no step raised the likelihood, though the score is not zero"},
      {StopReason::degenerate, "degenerate", "an expert sits at the noise floor"},
      {StopReason::settled, "settled", "the estimator's own rule was met; it does not end where the score is zero"},
  }};
  return names;
}

/// One iteration of a polished run.
struct IterationRecord {
  int start = 0;      ///< number of the start
  int iteration = 0;  ///< from 0
  double log_likelihood = 0;
  double score = std::numeric_limits<double>::quiet_NaN();  ///< largest mean score, where it was computed
  const char* phase = "";                                   ///< "short", "gate", "em", "squarem", "newton"
};

/// One start of the tournament.
struct StartRecord {
  StartKind kind = StartKind::random;
  double short_log_likelihood = std::numeric_limits<double>::quiet_NaN();  ///< after the short run, scaled to all rows
  double log_likelihood = std::numeric_limits<double>::quiet_NaN();        ///< after polishing; NaN when not polished
  int iterations = 0;
  bool degenerate = false;
  std::string failure;  ///< why the start gave nothing, empty otherwise
};

/// What a least-squares fit knows beside a likelihood. m responses, on the scale of the data.
struct LeastSquaresReport {
  Vector sum_of_squares;      ///< m: sum of weight * residual^2
  Vector r_squared;           ///< m: 1 - sum_of_squares / the same around the mean
  Vector residual_deviation;  ///< m: root of sum_of_squares / (sum of weights - parameters)
  int parameters = 0;         ///< of the regression function, redundant ones left out
  int rank = 0;               ///< numerical rank of the Jacobian (working scale, columns of unit length)
  double smallest_singular_value = std::numeric_limits<double>::quiet_NaN();  ///< of the same
  double condition = std::numeric_limits<double>::quiet_NaN();                ///< largest over smallest
  std::vector<std::string> flat_directions;  ///< combinations of parameters that the data do not determine
};

/// What fit() found. Born saying "not fitted yet".
struct FitResult {
  MixtureModel model;  ///< on the scale of the data, experts by decreasing share
  StopReason reason = StopReason::not_fitted;
  bool converged = false;
  double log_likelihood = std::numeric_limits<double>::quiet_NaN();
  int degrees_of_freedom = 0;
  double aic = std::numeric_limits<double>::quiet_NaN();      ///< -2 ll + 2 df (smaller is better)
  double bic = std::numeric_limits<double>::quiet_NaN();      ///< -2 ll + df log n (smaller is better; R's stats::BIC)
  double icl = std::numeric_limits<double>::quiet_NaN();      ///< bic + 2 * entropy of the responsibilities
  double entropy = std::numeric_limits<double>::quiet_NaN();  ///< -sum r log r
  Eigen::Index rows = 0;
  double effective_rows = 0;  ///< sum of the weights
  Vector shares;              ///< mean responsibility per expert (noise last), sums to 1
  int iterations = 0;         ///< EM-equivalents of the winning run (one pass over the data each)
  double score = std::numeric_limits<double>::quiet_NaN();  ///< largest mean score at the end
  StartKind start = StartKind::random;
  int starts = 0;         ///< starts made
  int starts_agreed = 0;  ///< polished starts that ended at the winner's log-likelihood (to 1e-6 relative)
  int starts_polished = 0;
  std::vector<StartRecord> start_records;
  std::vector<IterationRecord> history;
  bool gate_separated = false;  ///< some gate coefficient runs to infinity without the ridge
  double supremum_log_likelihood = std::numeric_limits<double>::quiet_NaN();    ///< then: what the likelihood tends to
  double degenerate_log_likelihood = std::numeric_limits<double>::quiet_NaN();  ///< best solution with a spike, if any
  double gate_ridge = 0;      ///< ridge per row on standardised gate coefficients that was active at the end; 0: none
  int ridge_reference = 0;    ///< the expert (from 0) relative to which the ridge saw the others
  double sigma_floor = 1e-3;  ///< smallest noise level, relative to the standard deviation of the response
  std::optional<LeastSquaresReport> least_squares;  ///< method least_squares only
  std::vector<Eigen::Index> trimmed_rows;           ///< left out by options.trim, increasing
  std::vector<std::string> warnings;                ///< each a full sentence
  double seconds = 0;

  /// One line.
  std::string brief() const;
};

/// Called after every phase with a fraction in [0, 1] and a few words; may be empty.
using ProgressCallback = std::function<void(double fraction, const std::string& what)>;

/// Fits a mixture of experts. Throws std::invalid_argument for wrong options or data; not converging is no exception.
/// `user_start`, on the raw scale, joins the tournament when given.
FitResult fit(const Data& data, const FitOptions& options, const MixtureModel* user_start = nullptr,
              const ProgressCallback& progress = {});

}  // namespace clearway
