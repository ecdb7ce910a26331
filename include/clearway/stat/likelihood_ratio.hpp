// Likelihood-ratio tests of a smaller model (null) inside a larger one (alternative).
//
// The statistic is 2 (l1 - l0). Where the theory of Wilks (1938) holds, it is compared with chi-square. It does not hold
// for the number of experts (under the null the further expert's parameters are not identified; McLachlan 1987), nor
// where the null lies on the boundary of the alternative. Then, and always on request, the null distribution is
// simulated: data drawn from the fitted null model, both models fitted again. Simulation stops early once enough
// replications exceed the observed statistic (Besag and Clifford 1991, Biometrika 78).
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "clearway/stat/bootstrap_interval.hpp"
#include "clearway/stat/fit.hpp"

namespace clearway {

struct LikelihoodRatioOptions {
  int replications = 199;
  int stop_after = 20;
  int data_starts = 4;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("replications", self.replications,
          OptionInfo{.help = "data sets drawn from the null model; 0 leaves the bootstrap out",
                     .minimum = 0,
                     .maximum = 10000000,
                     .off = "0"});
    field("stop-after", self.stop_after,
          OptionInfo{.help = "stop when so many replications exceed the observed statistic",
                     .minimum = 0,
                     .off = "0",
                     .source = "Besag and Clifford 1991"});
    field("data-starts", self.data_starts,
          OptionInfo{
              .help = "starts of its own that every fit makes beside the given one", .minimum = 1, .maximum = 1000});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0, .maximum = 4096});
  }
};

/// A model to test: its data, how it is fitted, and (optional) where the search begins.
struct TestedModel {
  const Data* data = nullptr;
  FitOptions options;
  const MixtureModel* start = nullptr;
};

/// Whether the null is a special case of the alternative, and whether chi-square may be used.
struct Nesting {
  bool nested = false;
  bool regular = false;
  std::vector<std::string> differences;  ///< "2 against 3 experts"
  std::vector<std::string> reasons;      ///< why not nested, or why not regular; full sentences
};

/// Compares two specifications. Inputs count as nested when every column of the null's is among the alternative's.
Nesting nesting_of(const TestedModel& null, const TestedModel& alternative);

struct LikelihoodRatioTest {
  Nesting nesting;
  FitResult null, alternative;
  double statistic = std::numeric_limits<double>::quiet_NaN();
  int degrees_of_freedom = 0;                                      ///< difference of the numbers of parameters
  double chi_square_p = std::numeric_limits<double>::quiet_NaN();  ///< NaN where Wilks' theorem does not hold
  double bootstrap_p = std::numeric_limits<double>::quiet_NaN();   ///< NaN without replications
  Interval bootstrap_interval;  ///< 95 % Monte Carlo interval of bootstrap_p (Clopper and Pearson)
  int exceeding = 0;            ///< replications with a statistic at least as large
  bool stopped_early = false;   ///< by stop_after
  bool interrupted = false;     ///< by the caller
  int failures = 0;             ///< replications without a fit (not counted)
  int refitted =
      0;  ///< replications whose alternative first fell below the null and was searched again with more starts
  std::vector<double> replications;  ///< statistics of the replications, in order
  std::vector<std::string> warnings;
};

/// Tests the null against the alternative. Both data must hold the same rows and response. Results do not depend on the
/// number of threads. Throws std::invalid_argument when the models are not nested.
LikelihoodRatioTest likelihood_ratio_test(const TestedModel& null, const TestedModel& alternative,
                                          const LikelihoodRatioOptions& options,
                                          const std::function<void(double, const std::string&)>& progress = {},
                                          const std::function<bool()>& stop = {});

/// p-value and 95 % interval of a Monte Carlo test: `exceeding` of `replications` statistics at least as large as the
/// observed one; `sequential`: simulation stopped at the last exceeding one.
struct MonteCarloP {
  double p;
  Interval interval;
};
MonteCarloP monte_carlo_p(int exceeding, int replications, bool sequential);

/// P(chi-square with `degrees` > statistic).
double chi_square_p(double statistic, int degrees);

/// The result for reading.
std::string likelihood_ratio_text(const LikelihoodRatioTest& test, int digits = 6);

}  // namespace clearway
