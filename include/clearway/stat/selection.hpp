// Choosing the number of experts, and the kinds of gate and expert: every candidate is fitted, starts are exchanged along
// the number of experts, criteria are computed in one convention, and one model is recommended with the reason in words.
//
// Along the number of experts k every fit also starts from its neighbours: from k - 1 by splitting an expert, from k + 1
// by merging two. A model with one expert more contains the smaller one, so its likelihood may not be below: where it
// is, it is fitted again from the smaller solution until it is not.
//
// A candidate is set aside, with the reason, when its fit did not converge, sits at a spike of the likelihood, has an
// expert with fewer rows than coefficients, or has as many parameters as there are rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/stat/criteria.hpp"
#include "clearway/stat/cross_validation.hpp"
#include "clearway/stat/fit.hpp"
#include "clearway/stat/model_dendrogram.hpp"

namespace clearway {

enum class SelectionCriterion { bic, aic, aicc, sabic, icl, log_score, rmse, crps, slope, dendrogram };
inline std::span<const EnumName<SelectionCriterion>> enum_names(SelectionCriterion) {
  static constexpr std::array<EnumName<SelectionCriterion>, 10> names{{
      {SelectionCriterion::bic, "bic", "Bayesian information criterion, consistent for well-separated experts"},
      {SelectionCriterion::aic, "aic", "Akaike's criterion: prediction, tends to more experts"},
      {SelectionCriterion::aicc, "aicc", "AIC corrected for few rows"},
      {SelectionCriterion::sabic, "sabic", "BIC adjusted for sample size"},
      {SelectionCriterion::icl, "icl", "BIC and the entropy of the responsibilities: experts that do not overlap"},
      {SelectionCriterion::log_score, "log-score", "predictive log-likelihood in cross-validation"},
      {SelectionCriterion::rmse, "rmse", "root mean squared error in cross-validation"},
      {SelectionCriterion::crps, "crps", "continuous ranked probability score in cross-validation"},
      {SelectionCriterion::slope, "slope", "slope heuristics: penalty measured on the largest models"},
      {SelectionCriterion::dendrogram, "dendrogram", "dendrogram of mixing measures from the largest model"},
  }};
  return names;
}

/// The numbers of experts that "1:8", "3" or "1,2,4" stand for, increasing. Throws std::invalid_argument.
std::vector<int> expert_numbers(const std::string& text);

/// Options of select_model(); those of every fit are in `fit` (its experts, gate and expert are set per candidate).
struct SelectionOptions {
  std::string experts = "1:5";
  std::vector<std::string> gates = {"softmax"};
  std::vector<std::string> families = {"linear"};
  SelectionCriterion criterion = SelectionCriterion::bic;
  int folds = 5;
  int fold_starts = 2;
  bool warm_starts = true;
  DendrogramWeights dendrogram = DendrogramWeights::shares;
  FitOptions fit;

  /// What a selection adds to the options of a fit.
  template <class Self, class Visitor>
  static void visit_own(Self& self, Visitor&& field) {
    field("experts", self.experts,
          OptionInfo{.help = "numbers of experts to fit: a range 1:8 or a list 1,2,4", .metavar = "K:K"});
    field("gate", self.gates,
          OptionInfo{.help = "kinds of gate to fit: softmax, constant ... (see clearway fit)", .metavar = "KIND"});
    field("expert", self.families,
          OptionInfo{.help = "kinds of expert to fit: linear, student-t ... (see clearway fit); linear+student-t: both "
                             "in one model, dealt to its experts in turn",
                     .metavar = "KIND"});
    field("criterion", self.criterion, OptionInfo{.help = "criterion that the recommendation follows"});
    field("folds", self.folds,
          OptionInfo{.help = "folds of cross-validation", .minimum = 0, .maximum = 10000, .off = "0"});
    field("fold-starts", self.fold_starts,
          OptionInfo{.help = "new starts in each fold, beside the solution of all rows", .minimum = 1});
    field("warm-starts", self.warm_starts,
          OptionInfo{.help = "exchange starts along the number of experts", .off = "false"});
    field("dendrogram-weights", self.dendrogram,
          OptionInfo{.help = "what weighs an expert in the dendrogram", .source = "arXiv 2510.12744"});
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    visit_own(self, field);
    FitOptions::visit(self.fit, [&](std::string_view name, auto& value, const OptionInfo& info) {
      if (name != "experts" && name != "gate" && name != "expert") field(name, value, info);
    });
  }
};

/// One combination of gate and expert and its data: columns may differ between kinds (a constant gate has no inputs),
/// rows may not.
struct CandidateFamily {
  GateSpec gate;
  ExpertSpec expert;
  const Data* data = nullptr;
  std::vector<ExpertKind> kinds = {};  ///< several kinds in one model, dealt to its experts in turn; empty: expert.kind

  /// The kinds of a model with this many experts, one per expert; empty where all are of expert.kind.
  std::vector<ExpertKind> kinds_of(int experts) const;
};

/// The kinds that "linear" or "linear+student-t" stands for. Throws std::invalid_argument.
std::vector<ExpertKind> expert_kinds(const std::string& text);

/// How a candidate's optimum was found.
enum class CandidateStart { own, split, merge, nested };
inline std::span<const EnumName<CandidateStart>> enum_names(CandidateStart) {
  static constexpr std::array<EnumName<CandidateStart>, 4> names{{
      {CandidateStart::own, "own", "its own starts"},
      {CandidateStart::split, "split", "the solution with one expert fewer, one split"},
      {CandidateStart::merge, "merge", "the solution with one expert more, two merged"},
      {CandidateStart::nested, "nested", "the solution with one expert fewer, one twice"},
  }};
  return names;
}

/// One fitted candidate.
struct Candidate {
  std::size_t family = 0;  ///< index into the families
  int experts = 0;
  FitResult fit;
  CandidateStart start = CandidateStart::own;
  InformationCriteria criteria;
  double slope_criterion = std::numeric_limits<double>::quiet_NaN();
  double dendrogram_criterion = std::numeric_limits<double>::quiet_NaN();
  CrossValidation validation;  ///< folds = 0: not done
  std::string excluded;        ///< why it cannot be chosen; empty when it can

  /// The log-likelihood that it attains, of which the criteria are made: the supremum when its gate separates the data
  /// (the fit itself then has finite coefficients and a log-likelihood below).
  double attained() const;
  /// The value of a criterion, smaller is better (the log score with its sign changed); NaN where there is none.
  double value(SelectionCriterion criterion) const;
};

/// The candidate that one criterion chooses.
struct CriterionChoice {
  SelectionCriterion criterion = SelectionCriterion::bic;
  std::size_t candidate = 0;
  std::optional<std::size_t> one_standard_error;  ///< cross-validation: the smallest model within one standard error
};

struct SelectionResult {
  std::vector<CandidateFamily> families;
  std::vector<Candidate> candidates;  ///< family by family, experts increasing
  std::vector<CriterionChoice> choices;
  std::optional<std::size_t> recommended;
  std::vector<std::string> reasons;   ///< of the recommendation, full sentences
  std::vector<std::string> warnings;  ///< full sentences
  std::optional<ModelDendrogram> dendrogram;
  std::size_t dendrogram_family = 0;
  std::string no_dendrogram;                                ///< why there is none
  double kappa = std::numeric_limits<double>::quiet_NaN();  ///< slope of the slope heuristics
  Eigen::Index rows = 0;
  int monotone_repairs = 0;  ///< fits repeated because the likelihood fell along the number of experts
};

/// Fits and compares. Results do not depend on the number of threads. Throws std::invalid_argument for wrong options or
/// families whose likelihoods cannot be compared (counts with real responses, different rows).
SelectionResult select_model(const std::vector<CandidateFamily>& families, const SelectionOptions& options,
                             const ProgressCallback& progress = {});

/// The path table, the dendrogram and the recommendation as text of at most `width` columns.
std::string selection_text(const SelectionResult& result, int digits = 6, std::size_t width = 110);
/// The path table as CSV, one row per candidate.
std::string selection_csv(const SelectionResult& result);

/// "linear", "linear+student-t".
std::string kinds_name(const CandidateFamily& family);
/// "softmax gate, linear experts" and so on.
std::string family_name(const CandidateFamily& family);
/// "3 linear experts behind a softmax gate".
std::string candidate_name(const SelectionResult& result, std::size_t candidate);

namespace detail {
/// Fills choices, recommendation and reasons from the criteria of the candidates.
void recommend(SelectionResult& result, SelectionCriterion criterion);
}  // namespace detail

}  // namespace clearway
