// The bootstrap of a fitted mixture of experts: how the estimates would have come out on other data of the same kind.
//
//   parametric  responses drawn from the fitted model at the inputs of the data (Efron 1979; flexmix's boot())
//   rows        rows drawn with replacement: no trust in the model, inputs vary too
//   weights     exponential weights of mean 1 for every row: the Bayesian bootstrap (Rubin 1981); no row is ever lost
//
// Every replication is fitted from the original model and from a few starts of its own, so that it may leave the
// original's neighbourhood where the data say so; experts are then matched to the original ones
// (membership_alignment.hpp). With clusters, rows and weights are drawn per cluster; groups of repeated measures are
// clusters unless others are named.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "clearway/stat/bootstrap_interval.hpp"
#include "clearway/stat/model_values.hpp"

namespace clearway {

enum class BootstrapKind { parametric, rows, weights };
inline std::span<const EnumName<BootstrapKind>> enum_names(BootstrapKind) {
  static constexpr std::array<EnumName<BootstrapKind>, 3> names{{
      {BootstrapKind::parametric, "parametric", "responses drawn from the fitted model at the same inputs"},
      {BootstrapKind::rows, "rows", "rows (or clusters) drawn with replacement"},
      {BootstrapKind::weights, "weights", "random exponential weights for rows (or clusters)"},
  }};
  return names;
}

struct BootstrapOptions {
  int replications = 200;
  BootstrapKind kind = BootstrapKind::rows;
  IntervalKind interval = IntervalKind::percentile;
  double level = 0.95;
  int data_starts = 2;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("replications", self.replications,
          OptionInfo{.help = "data sets to fit; 200 give standard errors, 1000 or more give intervals",
                     .minimum = 2,
                     .maximum = 10000000,
                     .source = "Efron and Tibshirani 1993"});
    field("kind", self.kind, OptionInfo{.help = "how the data of a replication are made"});
    field("interval", self.interval, OptionInfo{.help = "how replications become an interval"});
    field("level", self.level, OptionInfo{.help = "coverage of the intervals", .minimum = 0.5, .maximum = 0.9999});
    field("data-starts", self.data_starts,
          OptionInfo{.help = "starts of its own that a replication makes beside the original model",
                     .minimum = 1,
                     .maximum = 1000});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0, .maximum = 4096});
  }
};

/// One data set and its fit. Numbers are in the order of model_values() with experts matched to the original.
struct BootstrapReplication {
  bool done = false;    ///< false: the bootstrap was stopped before its turn
  std::string failure;  ///< why there is no fit; empty otherwise
  bool converged = false;
  bool degenerate = false;     ///< an expert at the noise floor: not used
  bool separated = false;      ///< the gate separates the data; coefficients are those under the weak ridge
  bool from_original = false;  ///< the original model led to the best optimum found (not only another start)
  bool ambiguous = false;      ///< the matching of experts was not clear (membership_alignment.hpp)
  double agreement = std::numeric_limits<double>::quiet_NaN();
  double log_likelihood = std::numeric_limits<double>::quiet_NaN();  ///< of the replication's own data
  Vector values;
  Vector predictions;  ///< means at the new rows, row by row (n x m by columns)

  bool used() const { return done && failure.empty() && !degenerate; }
};

/// What the replications say about one number.
struct BootstrapEstimate {
  double estimate = 0;
  double bias = std::numeric_limits<double>::quiet_NaN();            ///< mean of the replications - estimate
  double standard_error = std::numeric_limits<double>::quiet_NaN();  ///< standard deviation of the replications
  double wald_error = std::numeric_limits<double>::quiet_NaN();      ///< from the observed information
  Interval interval;
  bool fixed = false;  ///< by a constraint: there is nothing to estimate, and all but `estimate` is NaN
};

struct BootstrapResult {
  BootstrapOptions options;
  Eigen::Index rows = 0;
  Eigen::Index clusters = 0;  ///< 0: none
  std::vector<ValueName> names;
  std::vector<BootstrapEstimate> values;       ///< one per name
  std::vector<BootstrapEstimate> predictions;  ///< one per new row (and response); empty without new rows
  Eigen::Index prediction_columns = 0;
  std::vector<BootstrapReplication> replications;
  std::vector<std::string> warnings;  ///< each a full sentence

  int count(const std::function<bool(const BootstrapReplication&)>& which) const;
  bool stopped_early() const;
};

/// What may come with a bootstrap.
struct BootstrapExtras {
  std::vector<int> clusters;       ///< cluster of every row; empty: groups of repeated measures, else single rows
  const Data* new_rows = nullptr;  ///< rows whose mean is bootstrapped too (expert_inputs, gate_inputs, trials, offset)
  std::function<void(double fraction, const std::string& what)> progress;
  std::function<bool()> stop;  ///< asked before every replication; true ends the bootstrap with what is done
};

/// Bootstraps `model`, which was fitted to `data` with `fitted_with` (its kinds of gate, expert and noise are taken from
/// the model). Replication i uses stream i of the seed: the same numbers for any number of threads. A replication that
/// fails is counted, never fatal. Throws std::invalid_argument for options or data that do not fit.
BootstrapResult bootstrap(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                          const BootstrapOptions& options, const ModelNames& names, const BootstrapExtras& extras = {});

/// The table for reading: estimate, standard errors, bias, interval; then how the replications went.
std::string bootstrap_text(const BootstrapResult& result, int digits = 6);

}  // namespace clearway
