// What to look at after a fit, row by row and for the model as a whole: residuals, leverage and influence, how sure the
// memberships are, rows that no expert explains, checks of the optimum.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "clearway/stat/influence.hpp"
#include "clearway/stat/optimum_check.hpp"
#include "clearway/stat/residuals.hpp"

namespace clearway {

struct DiagnosisOptions {
  int top = 5;
  int map_starts = 12;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("top", self.top,
          OptionInfo{.help = "rows in every list; the most influential ones are also left out in earnest",
                     .minimum = 0,
                     .maximum = 1000});
    field("map-starts", self.map_starts,
          OptionInfo{.help = "starts carried to convergence to see which optima there are",
                     .minimum = 0,
                     .maximum = 100000,
                     .off = "0"});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0, .maximum = 4096});
  }
};

/// One number per row (n) and what belongs to it.
struct RowDiagnosis {
  Matrix mean;              ///< fitted mean, n x m (classes: n x c probabilities)
  Vector log_density;       ///< log p(y | x)
  std::vector<int> expert;  ///< most responsible expert, from 0; expert_count() is the noise component
  Vector responsibility;    ///< of that expert
  Vector entropy;           ///< -sum_k r_k log r_k: 0 when sure, log k when not at all
  Vector tail;              ///< largest two-sided tail probability over the experts; NaN for classes
  QuantileResiduals residuals;
  Influence influence;
};

struct FitDiagnosis {
  RowDiagnosis rows;
  std::vector<NormalitySummary> normality;  ///< of the quantile residuals, one per response
  double dispersion = 0;                    ///< see dispersion(); NaN where it does not exist
  std::vector<RootogramBar> rootogram;      ///< counts only
  Vector expert_rows;                       ///< sum_t w_t r_tk per expert (noise last)
  /// sum_t w_t r_tk^2: what is left of them when membership has to be inferred (Louis' information on a location).
  Vector effective_rows;
  std::vector<Eigen::Index> unexplained;  ///< rows whose tail is below 0.05 / n: no expert explains them
  std::vector<Eigen::Index> largest_residuals;
  std::vector<Eigen::Index> most_influential;  ///< by Cook's distance of the parameters
  std::vector<Deletion> deletions;             ///< of most_influential
  OptimumCheck optimum;
  std::vector<OptimumGroup> optima;  ///< empty when map_starts is 0
  std::vector<std::string> warnings;
};

/// Diagnoses a model fitted to `data` with `fitted_with`.
FitDiagnosis diagnose(const Data& data, const MixtureModel& model, const FitOptions& fitted_with,
                      const DiagnosisOptions& options,
                      const std::function<void(double, const std::string&)>& progress = {});

/// For reading. `row_numbers` are the numbers (from 0) of the rows in the user's table.
std::string diagnosis_text(const FitDiagnosis& diagnosis, const std::vector<std::size_t>& row_numbers, int digits = 6);

}  // namespace clearway
