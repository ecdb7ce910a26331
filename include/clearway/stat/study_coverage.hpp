// Do the intervals hold what they promise? Data from a known truth, a fit from the data alone, Wald intervals from the
// observed information and from the sandwich, and how often they hold the truth.
//
//   normal   the truth is a softmax-gated mixture of linear Gaussian experts (the design gauss of scenario.hpp): both
//            covariances ought to cover at the nominal level
//   t5       the noise is Student t with 5 degrees of freedom and the fit assumes Gaussian noise: the target is the
//            pseudo-true parameter (the limit of the estimate, taken from one fit to very many rows), and only the
//            sandwich ought to cover it (White 1982)
//
// Experts are matched to those of the truth by their coefficients. A replication whose fit does not converge, or whose
// intervals are withheld, is counted, not hidden.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "clearway/stat/inference.hpp"

namespace clearway {

enum class CoverageNoise { normal, t5 };
inline std::span<const EnumName<CoverageNoise>> enum_names(CoverageNoise) {
  static constexpr std::array<EnumName<CoverageNoise>, 2> names{{
      {CoverageNoise::normal, "normal", "the model is right"},
      {CoverageNoise::t5, "t5", "Student t noise, 5 degrees of freedom, fitted as Gaussian"},
  }};
  return names;
}

struct CoverageOptions {
  std::vector<std::string> design = {"gauss_k2_d1", "gauss_k3_d2", "gauss_k4_d10"};
  std::int64_t rows = 10000;
  int replications = 400;
  CoverageNoise noise = CoverageNoise::normal;
  double level = 0.95;
  std::int64_t pseudo_rows = 2000000;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("design", self.design,
          OptionInfo{.help = "truths, gauss_kK_dD: K linear experts over D inputs uniform on (-2, 2)"});
    field("rows", self.rows, OptionInfo{.help = "rows of every data set", .minimum = 50});
    field("replications", self.replications, OptionInfo{.help = "data sets per design", .minimum = 1});
    field("noise", self.noise, OptionInfo{.help = "noise of the experts"});
    field("level", self.level, OptionInfo{.help = "nominal coverage, below 1", .minimum = 0.01, .maximum = 0.9999});
    field("pseudo-rows", self.pseudo_rows,
          OptionInfo{.help = "rows of the fit that gives the pseudo-true parameters (noise t5)", .minimum = 1000});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0, .maximum = 4096});
  }
};

/// One data set. Per parameter of the table: '1' the interval held the target, '0' it did not, '-' it was withheld.
struct CoverageReplication {
  int design = 0;
  int replication = 0;
  bool converged = false;
  std::string observed, sandwich;
  std::string failure;  ///< why there is no result, else empty
};

/// What is covered: the truth (or pseudo-truth) of one design, and which parameters belong together.
struct CoverageTarget {
  std::vector<std::string> names;
  std::vector<ParameterPart> parts;
  Vector values;  ///< shares: NaN, their target depends on the inputs of the data set
};

struct CoverageStudy {
  CoverageOptions options;
  std::vector<CoverageTarget> targets;            ///< per design
  std::vector<CoverageReplication> replications;  ///< design by design
};

using CoverageProgress = std::function<void(double fraction, const std::string& what)>;
using CoverageSink = std::function<void(const CoverageReplication&)>;

/// Runs what is not among `known` yet; `sink` is called for every new replication, by one thread at a time. The result
/// does not depend on the number of threads. Throws std::invalid_argument for options that make no sense.
CoverageStudy run_coverage_study(const CoverageOptions& options, const std::vector<CoverageReplication>& known = {},
                                 const CoverageSink& sink = {}, const CoverageProgress& progress = {});

/// Coverage of one kind of parameter. The interval takes replications as independent, parameters within one as not.
struct CoverageCell {
  int intervals = 0;  ///< that were given
  int withheld = 0;
  double coverage = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();  ///< 95 % interval of the coverage
  double high = std::numeric_limits<double>::quiet_NaN();
  double worst = std::numeric_limits<double>::quiet_NaN();  ///< coverage of the parameter that fares worst
  std::string worst_name;
};
CoverageCell coverage_cell(const CoverageStudy& study, int design, ParameterPart part, bool sandwich);

std::string coverage_text(const CoverageStudy& study);
std::string coverage_markdown(const CoverageStudy& study);
std::string coverage_json(const CoverageStudy& study);

}  // namespace clearway
