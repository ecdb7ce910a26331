// How sure a fit is: covariance of the estimates, standard errors, tests and intervals on the scale of the data, and in
// words where the theory does not hold.
//
//   observed   V = A^-1,           A = minus the Hessian of the log-likelihood at the estimate (exact, Louis 1982)
//   sandwich   V = A^-1 B A^-1,    B = sum_t w_t^2 s_t s_t', s_t the score of row t (Huber 1967, White 1982): valid for
//                                  the pseudo-true parameters when the model is wrong; w_t are sampling weights
//   cluster    the same with       B = sum_c (sum_{t in c} w_t s_t)(...)': rows of a cluster may depend on each other
//
// No small-sample factor is applied (R's sandwich calls these HC0 and CR0). Estimates move from the working scale of
// fit() to the scale of the data by the exact derivative of that map; sigma, nu, shape, correlations and shares follow by
// the delta method. docs/inference.md gives the formulas, the rules behind every finding and measured coverage.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "clearway/stat/summary.hpp"

namespace clearway {

/// Which covariance.
enum class StandardErrorKind { observed, sandwich, cluster, none };
inline std::span<const EnumName<StandardErrorKind>> enum_names(StandardErrorKind) {
  static constexpr std::array<EnumName<StandardErrorKind>, 4> names{{
      {StandardErrorKind::observed, "observed", "inverse of the observed information"},
      {StandardErrorKind::sandwich, "sandwich", "robust: holds also where the model is wrong"},
      {StandardErrorKind::cluster, "cluster", "robust, and rows of one cluster may depend on each other"},
      {StandardErrorKind::none, "none", "no standard errors"},
  }};
  return names;
}

struct InferenceOptions {
  StandardErrorKind standard_errors = StandardErrorKind::observed;
  double level = 0.95;  ///< of the intervals

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("standard-errors", self.standard_errors,
          OptionInfo{.help = "where standard errors come from", .off = "none", .source = "Louis 1982, White 1982"});
    field("level", self.level,
          OptionInfo{.help = "coverage of the confidence intervals, below 1", .minimum = 0.01, .maximum = 0.9999});
  }
};

/// Why numbers are withheld, or come with a condition.
enum class ValidityProblem {
  not_at_maximum,       ///< the score is not zero: no theory applies
  too_many_parameters,  ///< the information would cost more than the fit
  noise_floor,          ///< an expert sits on the floor of its noise level
  gate_separated,       ///< gate coefficients run to infinity
  at_bound,             ///< a parameter at the edge of its range
  not_identified,       ///< the likelihood is flat along a direction
  same_experts,         ///< two experts cannot be told apart: over-specified
  few_rows,             ///< an expert has too few rows for its parameters
  gate_not_smooth,      ///< the gate selects experts: the likelihood jumps
  gate_penalised,       ///< (condition) the gate ridge takes part in the estimate
  noise_estimate,       ///< (condition) the noise estimate is not the likelihood's
  common_covariance,    ///< covariances are not of the form asked for: no estimate of that model
};
inline std::span<const EnumName<ValidityProblem>> enum_names(ValidityProblem) {
  static constexpr std::array<EnumName<ValidityProblem>, 12> names{{
      {ValidityProblem::not_at_maximum, "not-at-maximum"},
      {ValidityProblem::too_many_parameters, "too-many-parameters"},
      {ValidityProblem::noise_floor, "noise-floor"},
      {ValidityProblem::gate_separated, "gate-separated"},
      {ValidityProblem::at_bound, "at-bound"},
      {ValidityProblem::not_identified, "not-identified"},
      {ValidityProblem::same_experts, "same-experts"},
      {ValidityProblem::few_rows, "few-rows"},
      {ValidityProblem::gate_not_smooth, "gate-not-smooth"},
      {ValidityProblem::gate_penalised, "gate-penalised"},
      {ValidityProblem::noise_estimate, "noise-estimate"},
      {ValidityProblem::common_covariance, "common-covariance"},
  }};
  return names;
}

/// One finding. Parameters are indices into the table of Inference.
struct ValidityFinding {
  ValidityProblem problem;
  std::string sentence;
  std::vector<int> parameters = {};  ///< whose numbers are withheld; empty: a condition under which all are read
};

/// What a parameter of the table belongs to.
enum class ParameterPart { expert, spread, gate, noise, share };
inline std::span<const EnumName<ParameterPart>> enum_names(ParameterPart) {
  static constexpr std::array<EnumName<ParameterPart>, 5> names{{
      {ParameterPart::expert, "expert", "coefficient of an expert"},
      {ParameterPart::spread, "spread", "noise level, degrees of freedom or shape of an expert"},
      {ParameterPart::gate, "gate", "coefficient of the gate"},
      {ParameterPart::noise, "noise", "weight of the noise component"},
      {ParameterPart::share, "share", "average gate weight over the rows"},
  }};
  return names;
}

/// The table and the covariances. A number is NaN exactly where it is withheld (finding_of is not negative) or not
/// defined (z and p of parameters for which zero is no hypothesis: all but coefficients).
struct Inference {
  StandardErrorKind kind = StandardErrorKind::none;
  double level = 0.95;
  bool least_squares = false;  ///< of a regression function: see least_squares_covariance()

  std::vector<std::string> names;    ///< "expert 1: x1", "expert 1: sigma", "gate 1: x1", "noise weight", "share 1"
  std::vector<std::string> labels;   ///< "x1", "sigma" ...
  std::vector<ParameterPart> parts;  ///< what each belongs to
  std::vector<int> experts;          ///< the expert (or gate block) from 0; -1 for the noise weight
  Vector estimates, standard_errors, z, p, lower, upper;
  std::vector<int> finding_of;  ///< index into findings, -1 where the numbers are valid
  std::vector<bool> fixed;      ///< by a constraint: no estimate, so no error, test or interval (NaN; covariance 0)
  Matrix covariance;            ///< of the estimates; rows and columns of withheld parameters are NaN

  /// Covariance of model_parameters(model), for functions of the model (predictions). Zero rows and columns belong to
  /// parameters that are pinned or at a bound; directions along which the likelihood is flat are left out. Empty where
  /// nothing is valid.
  Matrix model_covariance;

  std::vector<ValidityFinding> findings;
  double condition_number = 0;  ///< of the information with unit diagonal, on the working scale
  std::string flat_direction;   ///< the parameters that move along the flattest direction, in words
  double newton_decrement = 0;  ///< score' A^-1 score: squared distance to the maximum in standard errors
  double seconds = 0;

  int size() const { return static_cast<int>(names.size()); }
  /// True when standard errors were asked for and at least those of some parameters hold.
  bool available() const { return model_covariance.size() > 0; }
  bool valid(int parameter) const { return finding_of[static_cast<std::size_t>(parameter)] < 0; }
  /// The parameter of that name; throws std::invalid_argument with the nearest name where there is none.
  int index(const std::string& name) const;
};

/// All parameters of a model in one vector: gate (flat, pinned ones included), expert 0, expert 1, ..., then the logit of
/// the noise weight where there is a noise component.
Vector model_parameters(const MixtureModel& model);
/// The inverse, into a model of the same shape.
void set_model_parameters(const Vector& parameters, MixtureModel& model);

/// Inference for a fit on the data it was fitted to. `clusters`: for StandardErrorKind::cluster one number per row that
/// names its cluster, else empty. Throws std::invalid_argument for wrong options or sizes; theory that does not hold is
/// an outcome.
Inference infer(const Data& data, const FitResult& result, const ModelNames& names,
                const InferenceOptions& options = {}, const std::vector<int>& clusters = {}, int threads = 1);

/// The tables with standard errors, z, p and intervals that full_summary() shows for experts and gate.
std::string inference_tables(const FitResult& result, const Inference& inference, int digits, std::size_t width);
/// What was done and what is not valid: the paragraph below the tables.
std::string inference_notes(const Inference& inference, std::size_t width);

}  // namespace clearway
