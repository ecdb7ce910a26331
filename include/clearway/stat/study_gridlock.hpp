// The comparison of the gridlock literature, repeated: spectral start and EM against EM from random starts.
//
// In every trial of a cell a problem is drawn (scenario.hpp) and four climbs of the same joint EM (joint_em.hpp) are
// made:
//   oracle     from the truth: the maximum likelihood estimate, the yardstick of the others
//   spectral   regressors by cross-moment tensors (spectral.hpp), gate by EM with the regressors fixed, then joint EM
//   em-zero    regressors uniform on the sphere, gate 0, noise = variance of y: the strong version of EM
//   em-random  the same with gate rows of the true length in random directions: the weak version
// A climb that ends with a mean log-likelihood more than 1e-3 below the oracle's is counted as a local optimum. Beside
// the main cells (every g, every number of experts, assumptions kept) there are cells in which the spectral start does
// not help: they are part of the result. Protocol and our findings: docs/gridlock-study.md; Makkuva et al., ICML 2019,
// for the idea.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "clearway/stat/joint_em.hpp"
#include "clearway/stat/scenario.hpp"
#include "clearway/stat/spectral.hpp"

namespace clearway {

/// Options of the study.
struct GridlockStudyOptions {
  std::vector<int> experts = {2, 3, 4};
  std::vector<std::string> g = {"linear", "tanh"};
  int trials = 50;
  int dim = 10;
  std::int64_t rows = 10000;
  double noise = 0.1;
  double gate_norm = 4.0;
  int starts = 1;
  int max_iterations = 300;
  int trace = 20;
  bool limits = true;
  int limit_trials = 10;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("experts", self.experts, OptionInfo{.help = "numbers of experts to study", .minimum = 1, .maximum = 20});
    field("g", self.g,
          OptionInfo{.help = "mean functions g(a'x): linear, sigmoid, tanh, relu, leaky-relu, polynomial"});
    field("trials", self.trials, OptionInfo{.help = "problems drawn per cell", .minimum = 1, .maximum = 100000});
    field("dim", self.dim, OptionInfo{.help = "number of inputs", .minimum = 1});
    field("rows", self.rows, OptionInfo{.help = "rows per problem", .minimum = 10});
    field("noise", self.noise, OptionInfo{.help = "noise standard deviation", .minimum = 0, .above_minimum = true});
    field("gate-norm", self.gate_norm, OptionInfo{.help = "length of the gate directions", .minimum = 0});
    field("starts", self.starts, OptionInfo{.help = "random starts of EM of either kind per problem", .minimum = 1});
    field("max-iterations", self.max_iterations, OptionInfo{.help = "most iterations of one climb", .minimum = 1});
    field("trace", self.trace, OptionInfo{.help = "iterations whose error is kept", .minimum = 0});
    field("limits", self.limits,
          OptionInfo{.help = "also run the cells where the spectral start does not help", .off = "false"});
    field("limit-trials", self.limit_trials, OptionInfo{.help = "problems drawn per such cell", .minimum = 1});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads,
          OptionInfo{.help = "threads; 0 uses all cores; the result does not depend on it", .minimum = 0});
  }
};

/// One situation in which trials are made.
struct StudyCell {
  std::string name;                          ///< "orthogonal" or what is broken: "random-gates" ...
  ScenarioOptions problem;                   ///< its seed is set per trial
  InputModel inputs = InputModel::gaussian;  ///< score tensors of the spectral method
  int trials = 1;
  bool main = true;         ///< false: one of the cells about limits
  std::string expectation;  ///< for limits: what theory says, a full sentence
};

enum class StudyMethod { oracle, spectral, em_zero, em_random };
inline std::span<const EnumName<StudyMethod>> enum_names(StudyMethod) {
  static constexpr std::array<EnumName<StudyMethod>, 4> names{{
      {StudyMethod::oracle, "oracle", "EM from the truth"},
      {StudyMethod::spectral, "spectral", "spectral regressors, gate by EM, joint EM"},
      {StudyMethod::em_zero, "em-zero", "EM from random regressors and gate 0"},
      {StudyMethod::em_random, "em-random", "EM from random regressors and random gate"},
  }};
  return names;
}

/// One climb.
struct StudyRun {
  StudyMethod method = StudyMethod::oracle;
  int start = 0;
  bool available = true;  ///< false: the method cannot answer here (see note)
  std::string note;       ///< why not
  double mean_log_likelihood = std::numeric_limits<double>::quiet_NaN();
  double gap = std::numeric_limits<double>::quiet_NaN();  ///< oracle's mean log-likelihood minus this one
  bool local_optimum = false;                             ///< gap above 1e-3
  bool converged = false;
  int iterations = 0;
  double regressor_error = std::numeric_limits<double>::quiet_NaN();
  double gate_error = std::numeric_limits<double>::quiet_NaN();
  double sigma_error = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> trace;  ///< regressor error before iteration 0, 1, 2 ... of joint EM
};

/// One problem and its climbs.
struct StudyTrial {
  int cell = 0;
  int trial = 0;
  std::int64_t seed = 0;
  double spectral_error = std::numeric_limits<double>::quiet_NaN();            ///< regressors straight from the tensors
  double gate_error_before_polish = std::numeric_limits<double>::quiet_NaN();  ///< after EM for the gate alone
  std::vector<StudyRun> runs;
};

struct GridlockStudy {
  GridlockStudyOptions options;
  std::vector<StudyCell> cells;
  std::vector<StudyTrial> trials;  ///< by cell, then by trial
};

/// Called now and then with a fraction in [0, 1] and a few words, from one thread at a time.
using StudyProgress = std::function<void(double fraction, const std::string& what)>;

/// The cells that the options ask for. Throws std::invalid_argument for an unknown g.
std::vector<StudyCell> study_cells(const GridlockStudyOptions& options);

/// Runs one trial of a cell: a function of its arguments only.
StudyTrial run_study_trial(const StudyCell& cell, int trial, const GridlockStudyOptions& options);

/// Runs the study. The result is the same for any number of threads.
GridlockStudy run_gridlock_study(const GridlockStudyOptions& options, const StudyProgress& progress = {});

/// What one method did in one cell.
struct StudySummary {
  int runs = 0;
  int available = 0;
  int local_optima = 0;
  double local_low = 0;  ///< 95 % interval (Wilson) of the fraction of local optima
  double local_high = 1;
  double iterations = 0;  ///< medians over the available runs
  double regressor_error = 0;
  double regressor_q10 = 0;
  double regressor_q90 = 0;
  double gate_error = 0;
  double sigma_error = 0;
  std::vector<double> trace;  ///< median regressor error per iteration (a climb that stopped keeps its last value)
};
StudySummary summarise(const GridlockStudy& study, int cell, StudyMethod method);

/// The tables and what is seen in them, for reading.
std::string study_text(const GridlockStudy& study);
/// One line per climb.
std::string study_trials_csv(const GridlockStudy& study);
/// Median regressor error by cell, method and iteration.
std::string study_trace_csv(const GridlockStudy& study);
/// Options, cells and summaries as one JSON object.
std::string study_json(const GridlockStudy& study);

}  // namespace clearway
