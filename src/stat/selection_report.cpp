// The path table of a selection as text and as CSV.
#include <algorithm>
#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/predictive_scores.hpp"
#include "clearway/stat/selection.hpp"
#include "clearway/stat/summary.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

using detail::TextTable;

constexpr const char* kConvention =
    "Smaller is better, as in R: AIC = -2 log L + 2 df, AICc = AIC + 2 df (df + 1) / (n - df - 1), BIC = -2 log L + "
    "df log n, SABIC = -2 log L + df log((n + 2) / 24), ICL = BIC + 2 entropy. * marks the smallest among the "
    "candidates that are not set aside.";

std::string wrapped(const std::string& text, std::size_t width, const std::string& indent) {
  std::string out, line = indent;
  const std::string later = indent + (indent.empty() ? "" : "  ");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t space = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, space - begin);
    if (line.size() + word.size() > width && line.find_first_not_of(' ') != std::string::npos) {
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
      line = later;
    }
    line += word + " ";
    begin = space + 1;
  }
  return out + line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

class Report {
 public:
  Report(const SelectionResult& result, int digits, std::size_t width)
      : result_(result), digits_(digits), width_(width) {}

  std::string text() const {
    std::string out = fmt::format("Selection among {} on {}\n\n", plural(result_.candidates.size(), "candidate"),
                                  plural(static_cast<std::size_t>(result_.rows), "row"));
    out += fits_table() + "\n" + wrapped(kConvention, width_, "");
    if (!std::isnan(result_.kappa))
      out += wrapped(fmt::format("slope: -2 log L + 4 kappa df with kappa = {} measured on the largest models.",
                                 table_number(result_.kappa, digits_)),
                     width_, "");
    out += validation_table() + dendrogram_table();
    out += "\nRecommendation\n";
    for (const std::string& reason : result_.reasons) out += wrapped(reason, width_, "  ");
    for (const std::string& warning : result_.warnings) out += wrapped("Warning: " + warning, width_, "  ");
    return out;
  }

 private:
  std::string row_label(const Candidate& candidate) const {
    std::string label = std::to_string(candidate.experts);
    if (result_.families.size() > 1) {
      const CandidateFamily& family = result_.families[candidate.family];
      label = fmt::format("{} {} | {}", candidate.experts, kinds_name(family), enum_name(family.gate.kind));
    }
    return label + (candidate.excluded.empty() ? "" : " (aside)");
  }

  bool chosen_by(std::size_t candidate, SelectionCriterion criterion) const {
    for (const CriterionChoice& choice : result_.choices)
      if (choice.criterion == criterion) return choice.candidate == candidate;
    return false;
  }

  std::string cell(std::size_t i, SelectionCriterion criterion) const {
    const double value = result_.candidates[i].value(criterion);
    return table_number(value, digits_) + (chosen_by(i, criterion) ? "*" : " ");
  }

  bool has(SelectionCriterion criterion) const {
    for (const Candidate& candidate : result_.candidates)
      if (!std::isnan(candidate.value(criterion))) return true;
    return false;
  }

  std::string fits_table() const {
    TextTable table(width_);
    table.column("log L ");
    table.column("df");
    std::vector<SelectionCriterion> shown;
    const auto show = [&](SelectionCriterion criterion, const char* heading) {
      shown.push_back(criterion);
      table.column(heading);
    };
    show(SelectionCriterion::bic, "BIC ");
    show(SelectionCriterion::aic, "AIC ");
    show(SelectionCriterion::aicc, "AICc ");
    show(SelectionCriterion::sabic, "SABIC ");
    show(SelectionCriterion::icl, "ICL ");
    if (has(SelectionCriterion::slope)) show(SelectionCriterion::slope, "slope ");
    if (has(SelectionCriterion::dendrogram)) show(SelectionCriterion::dendrogram, "DSC ");
    table.column("start");
    table.column("agreed");
    for (std::size_t i = 0; i < result_.candidates.size(); ++i) {
      const Candidate& candidate = result_.candidates[i];
      table.begin_row(row_label(candidate));
      table.cell(table_number(candidate.attained(), digits_ + 2) + (candidate.fit.gate_separated ? "^" : " "));
      table.cell(std::to_string(candidate.fit.degrees_of_freedom));
      for (const SelectionCriterion criterion : shown) table.cell(cell(i, criterion));
      table.cell(std::string(enum_name(candidate.start)));
      table.cell(fmt::format("{}/{}", candidate.fit.starts_agreed, candidate.fit.starts_polished));
    }
    std::string text = "experts\n" + table.text();
    for (const Candidate& candidate : result_.candidates)
      if (candidate.fit.gate_separated) {
        text += "^ the gate separates the data: the supremum of log L; the model itself has finite coefficients\n";
        break;
      }
    return text;
  }

  std::string estimate(const ScoreEstimate& score, bool marked) const {
    return fmt::format("{}{} ({})", table_number(score.value, digits_), marked ? "*" : "",
                       table_number(score.error, 2));
  }

  std::string validation_table() const {
    if (!has(SelectionCriterion::log_score)) return {};
    const bool squares = has(SelectionCriterion::rmse);
    TextTable table(width_);
    std::string crps = "CRPS";
    for (const Candidate& candidate : result_.candidates)
      if (!candidate.fit.model.experts.empty() && candidate.validation.folds > 0) crps = crps_name(candidate.fit.model);
    table.column("mean log p (SE)");
    if (squares) table.column("RMSE (SE)");
    table.column(crps + " (SE)");
    int folds = 0;
    for (std::size_t i = 0; i < result_.candidates.size(); ++i) {
      const Candidate& candidate = result_.candidates[i];
      if (candidate.validation.folds == 0) continue;
      folds = candidate.validation.folds;
      table.begin_row(row_label(candidate));
      table.cell(estimate(candidate.validation.log_score, chosen_by(i, SelectionCriterion::log_score)));
      if (squares) table.cell(estimate(candidate.validation.rmse, chosen_by(i, SelectionCriterion::rmse)));
      table.cell(estimate(candidate.validation.crps, chosen_by(i, SelectionCriterion::crps)));
    }
    return fmt::format("\nCross-validation, {} folds: on rows that the fit has not seen\nexperts\n", folds) +
           table.text() + "log p: larger is better; the others: smaller is better.\n";
  }

  std::string dendrogram_table() const {
    if (!result_.dendrogram) return {};
    const ModelDendrogram& tree = *result_.dendrogram;
    TextTable table(width_);
    table.column("height");
    table.column("log L per row, merged");
    table.column("DSC ");
    table.column("then merges");
    for (std::size_t s = 0; s < tree.levels.size(); ++s) {
      const int k = tree.levels[s].expert_count();
      table.begin_row(std::to_string(k));
      const bool last = s + 1 == tree.levels.size();
      table.cell(last ? "" : table_number(tree.heights[s], digits_));
      table.cell(table_number(tree.mean_log_likelihoods[s], digits_));
      table.cell(last ? "" : table_number(tree.criterion[s], digits_) + (k == tree.chosen ? "*" : " "));
      table.cell(last ? "" : fmt::format("{} and {}", tree.pairs[s].first + 1, tree.pairs[s].second + 1));
    }
    return fmt::format("\nDendrogram of mixing measures from {} (merged, not refitted)\nexperts\n",
                       fmt::format("{} {}", tree.levels.front().expert_count(),
                                   family_name(result_.families[result_.dendrogram_family]))) +
           table.text();
  }

  const SelectionResult& result_;
  int digits_;
  std::size_t width_;
};

}  // namespace

std::string selection_text(const SelectionResult& result, int digits, std::size_t width) {
  return Report(result, digits, width).text();
}

std::string selection_csv(const SelectionResult& result) {
  std::string out =
      "experts,gate,expert,log_likelihood,supremum,df,aic,aicc,bic,sabic,icl,slope,dsc,cv_log_score,cv_log_score_se,"
      "cv_rmse,cv_rmse_se,cv_crps,cv_crps_se,start,starts,agreed,converged,separated,excluded,recommended\n";
  const auto number = [](double value) { return std::isnan(value) ? std::string("NA") : fmt::format("{}", value); };
  for (std::size_t i = 0; i < result.candidates.size(); ++i) {
    const Candidate& one = result.candidates[i];
    const CandidateFamily& family = result.families[one.family];
    const CrossValidation& cv = one.validation;
    out += fmt::format("{},{},{}", one.experts, enum_name(family.gate.kind), kinds_name(family));
    out += fmt::format(",{},{},{}", number(one.fit.log_likelihood), number(one.fit.supremum_log_likelihood),
                       one.fit.degrees_of_freedom);
    for (const double value : {one.criteria.aic, one.criteria.aicc, one.criteria.bic, one.criteria.sabic,
                               one.criteria.icl, one.slope_criterion, one.dendrogram_criterion, cv.log_score.value,
                               cv.log_score.error, cv.rmse.value, cv.rmse.error, cv.crps.value, cv.crps.error})
      out += "," + number(value);
    std::string reason = one.excluded;
    std::replace(reason.begin(), reason.end(), '"', '\'');
    out += fmt::format(",{},{},{},{},{},\"{}\",{}\n", enum_name(one.start), one.fit.starts, one.fit.starts_agreed,
                       one.fit.converged, one.fit.gate_separated, reason, result.recommended == i);
  }
  return out;
}

}  // namespace clearway
