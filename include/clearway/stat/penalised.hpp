// Lasso and elastic net for mixtures of experts: which inputs the gate and each expert need.
//
//   maximise  log L - n lambda sum over slopes s [ mix |s| + (1 - mix) s^2 / 2 ]
//
// over a softmax gate with linear, poisson, bernoulli or binomial experts; slopes are those of standardised inputs (and
// response, where its scale is free), intercepts and noise levels are never penalised, n is the sum of the case weights.
// Gate slopes are contrasts to the reference, the last expert (Khalili and Chen 2007; Chamroukhi and Huynh 2019). EM; in
// the M-step one proximal Newton step per expert and gate row, its quadratic program solved by coordinate descent
// (Friedman, Hastie and Tibshirani 2010), halved until the penalised objective does not fall: the penalised likelihood
// is monotone.
//
// The path goes upward from the unpenalised fit, so that the memberships of a good solution are kept while slopes leave
// one by one, and downward again; of several local maxima the best is kept. Degrees of freedom are the parameters that are not zero.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/stat/criteria.hpp"
#include "clearway/stat/cross_validation.hpp"
#include "clearway/stat/fit.hpp"

namespace clearway {

enum class PenaltyKind { none, lasso, elastic_net };
inline std::span<const EnumName<PenaltyKind>> enum_names(PenaltyKind) {
  static constexpr std::array<EnumName<PenaltyKind>, 3> names{{
      {PenaltyKind::none, "none", "no penalty"},
      {PenaltyKind::lasso, "lasso", "absolute values: slopes become exactly zero"},
      {PenaltyKind::elastic_net, "elastic-net", "absolute values and squares, see penalty-mix"},
  }};
  return names;
}

enum class PenaltyTarget { both, gate, experts };
inline std::span<const EnumName<PenaltyTarget>> enum_names(PenaltyTarget) {
  static constexpr std::array<EnumName<PenaltyTarget>, 3> names{{
      {PenaltyTarget::both, "both", "slopes of the gate and of the experts"},
      {PenaltyTarget::gate, "gate", "slopes of the gate"},
      {PenaltyTarget::experts, "experts", "slopes of the experts"},
  }};
  return names;
}

/// Standard errors after the choice of inputs.
enum class PenaltyInference { none, naive, split };
inline std::span<const EnumName<PenaltyInference>> enum_names(PenaltyInference) {
  static constexpr std::array<EnumName<PenaltyInference>, 3> names{{
      {PenaltyInference::none, "none", "no standard errors"},
      {PenaltyInference::naive, "naive",
       "the chosen model refitted to the same rows, as if it had been given: too small"},
      {PenaltyInference::split, "split",
       "inputs are chosen on a random half of the rows, standard errors come from the other"},
  }};
  return names;
}

struct PenaltyOptions {
  PenaltyKind kind = PenaltyKind::none;
  std::vector<double> strengths;  ///< lambda; empty: a grid
  double mix = 0.5;               ///< elastic net: share of the absolute values
  PenaltyTarget on = PenaltyTarget::both;
  int length = 30;
  double ratio = 1e-3;
  bool relax = true;
  PenaltyInference inference = PenaltyInference::none;
  int max_iterations = 3000;
  double tolerance = 1e-6;  ///< largest violation of the optimality conditions, per row

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("penalty", self.kind,
          OptionInfo{.help = "penalty on slopes: chooses inputs along a path of strengths", .off = "none"});
    field("penalty-strength", self.strengths,
          OptionInfo{.help = "strengths to fit, on standardised inputs; default: a grid from none to all slopes zero",
                     .minimum = 0});
    field("penalty-mix", self.mix,
          OptionInfo{.help = "elastic-net: share of the absolute values, 1 is the lasso",
                     .minimum = 0,
                     .maximum = 1,
                     .above_minimum = true,
                     .source = "Zou and Hastie 2005"});
    field("penalty-on", self.on, OptionInfo{.help = "which slopes are penalised"});
    field("path-length", self.length, OptionInfo{.help = "strengths in the grid", .minimum = 2, .maximum = 10000});
    field("path-ratio", self.ratio,
          OptionInfo{.help = "smallest strength of the grid relative to the largest",
                     .minimum = 0,
                     .maximum = 1,
                     .above_minimum = true});
    field(
        "relax", self.relax,
        OptionInfo{
            .help = "refit the slopes that are left without a penalty", .off = "false", .source = "Meinshausen 2007"});
    field("penalty-inference", self.inference,
          OptionInfo{.help = "standard errors of the chosen model, refitted without penalty",
                     .off = "none",
                     .source = "Cox 1975; Wasserman and Roeder 2009; Berk et al. 2013"});
  }
  double lasso_share() const { return kind == PenaltyKind::lasso ? 1.0 : mix; }
};

/// One strength of a path.
struct PenalisedPoint {
  double strength = 0;
  MixtureModel model;  ///< on the scale of the data
  bool converged = false;
  bool degenerate = false;  ///< an expert sits at the noise floor: a spike of the likelihood, no maximum
  int iterations = 0;
  double log_likelihood = std::numeric_limits<double>::quiet_NaN();
  double objective = std::numeric_limits<double>::quiet_NaN();  ///< penalised log-likelihood
  double violation = std::numeric_limits<double>::quiet_NaN();  ///< of the optimality conditions, per row
  int expert_slopes = 0;                                        ///< not zero
  int gate_slopes = 0;                                          ///< not zero
  int degrees_of_freedom = 0;
  InformationCriteria criteria;
  std::vector<std::vector<bool>> expert_support;  ///< [expert][input]
  std::vector<std::vector<bool>> gate_support;    ///< [expert][input], the last all false
  ScoreEstimate log_score;                        ///< cross-validation, where it was asked for
  std::vector<double> history;                    ///< objective before every iteration; never falls
};

struct PenalisedPath {
  int experts = 0;
  PenaltyOptions penalty;
  FitResult unpenalised;
  std::vector<PenalisedPoint> points;  ///< by strength; refitted without penalty when penalty.relax
  std::size_t chosen = 0;  ///< index of the point with the smallest BIC (or largest log score), no spike if it can be
  bool chosen_by_validation = false;
};

/// Whether gate and experts are of a kind that can be penalised; says why not.
bool penalty_applies(const FitOptions& options, const Data& data, std::string& reason);

/// The model at one strength, from a start on the scale of the data.
PenalisedPoint penalised_fit(const Data& data, const FitOptions& options, const PenaltyOptions& penalty,
                             double strength, const MixtureModel& start);

/// Fits without penalty, then the path. `folds` > 1: the strength is chosen by cross-validated log-likelihood instead of
/// BIC. Throws std::invalid_argument when the penalty does not apply.
PenalisedPath penalised_path(const Data& data, const FitOptions& options, const PenaltyOptions& penalty, int folds = 0,
                             const ProgressCallback& progress = {});

/// The chosen point as the result of a fit, so that it can be summarised and saved.
FitResult as_fit_result(const PenalisedPath& path, const Data& data);

/// The slopes that a point leaves out, fixed at 0.
Constraints zero_slopes(const PenalisedPoint& point);
/// The model of a point fitted to these rows without penalty, slopes that it leaves out kept at 0. Its standard errors
/// are valid where the point was chosen on other rows; on the same ones they are naive.
FitResult refit_selected(const Data& data, const FitOptions& options, const PenalisedPoint& point);

/// Rows for the choice of inputs and rows for inference, each increasing; the second half has the odd row.
struct RowHalves {
  std::vector<Eigen::Index> selection, inference;
};
RowHalves random_halves(Eigen::Index rows, std::int64_t seed);
/// What such standard errors are worth, full sentences.
std::string selection_caution(PenaltyInference kind);

/// The path as a table, the chosen strength marked, and which inputs are left where.
std::string penalised_text(const PenalisedPath& path, const std::vector<std::string>& expert_names,
                           const std::vector<std::string>& gate_names, int digits = 6);
/// One row per strength.
std::string penalised_csv(const PenalisedPath& path);

}  // namespace clearway
