// The summary of a diagnosis for reading.
#include <algorithm>
#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/diagnosis.hpp"
#include "clearway/stat/summary.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

using Eigen::Index;

std::string residual_section(const FitDiagnosis& diagnosis, int digits) {
  std::string text = "Quantile residuals (standard normal under the model)\n";
  detail::TextTable table(92, 1);
  for (const char* heading : {"mean", "sd", "skewness", "kurtosis - 3", "Kolmogorov", "p"}) table.column(heading);
  for (std::size_t j = 0; j < diagnosis.normality.size(); ++j) {
    const NormalitySummary& s = diagnosis.normality[j];
    table.begin_row(diagnosis.normality.size() == 1 ? "" : fmt::format("response {}", j + 1));
    for (const double value : {s.mean, s.deviation, s.skewness, s.excess_kurtosis, s.kolmogorov, s.kolmogorov_p})
      table.cell(table_number(value, std::min(digits, 4)));
  }
  text += table.text();
  text += "p is that of a model known beforehand: with estimated parameters a small one counts all the more.\n";
  if (!std::isnan(diagnosis.dispersion))
    text += fmt::format("Dispersion {}: {}\n", table_number(diagnosis.dispersion, std::min(digits, 4)),
                        diagnosis.dispersion > 1.1   ? "more spread than the model allows (overdispersion)"
                        : diagnosis.dispersion < 0.9 ? "less spread than the model expects (underdispersion)"
                                                     : "the spread that the model expects");
  return text;
}

std::string rootogram_section(const std::vector<RootogramBar>& bars) {
  if (bars.empty()) return {};
  constexpr std::size_t kMost = 20;
  std::string text = "\nRootogram\n";
  detail::TextTable table(92, 1);
  for (const char* heading : {"observed", "expected", "sqrt difference"}) table.column(heading);
  for (std::size_t i = 0; i < std::min(bars.size(), kMost); ++i) {
    const RootogramBar& bar = bars[i];
    table.begin_row(fmt::format("{}{}", bar.count, bar.or_more ? " or more" : ""));
    table.cell(table_number(bar.observed, 6));
    table.cell(fmt::format("{:.2f}", bar.expected));
    table.cell(fmt::format("{:+.3f}", std::sqrt(bar.observed) - std::sqrt(bar.expected)));
  }
  text += table.text();
  if (bars.size() > kMost) text += fmt::format("({} more counts in --json)\n", bars.size() - kMost);
  return text;
}

std::string expert_section(const FitDiagnosis& diagnosis) {
  std::string text = "\nExperts\n";
  detail::TextTable table(92, 1);
  for (const char* heading : {"rows", "effective rows"}) table.column(heading);
  for (Index k = 0; k < diagnosis.expert_rows.size(); ++k) {
    table.begin_row(fmt::format("{}", k + 1));
    table.cell(fmt::format("{:.1f}", diagnosis.expert_rows(k)));
    table.cell(fmt::format("{:.1f}", diagnosis.effective_rows(k)));
  }
  text += table.text();
  const Index n = diagnosis.rows.entropy.size();
  const double most = std::log(std::max<double>(2, static_cast<double>(diagnosis.expert_rows.size())));
  const auto unsure = (diagnosis.rows.responsibility.array() < 0.75).count();
  text += fmt::format("Uncertainty: mean entropy {:.3f} of at most {:.3f}; {} of {} rows have no expert above 0.75.\n",
                      diagnosis.rows.entropy.mean(), most, unsure, n);
  return text;
}

std::string row_lists(const FitDiagnosis& diagnosis, const std::vector<std::size_t>& numbers) {
  const RowDiagnosis& rows = diagnosis.rows;
  const auto number = [&](Index t) { return numbers.at(static_cast<std::size_t>(t)) + 1; };
  std::string text;
  if (!diagnosis.largest_residuals.empty()) {
    text += "\nLargest residuals\n";
    detail::TextTable table(92, 1);
    for (const char* heading : {"residual", "log density", "expert", "responsibility"}) table.column(heading);
    for (const Index t : diagnosis.largest_residuals) {
      Index j = 0;
      rows.residuals.residual.row(t).cwiseAbs().maxCoeff(&j);
      table.begin_row(fmt::format("row {}", number(t)));
      table.cell(fmt::format("{:.3f}", rows.residuals.residual(t, j)));
      table.cell(fmt::format("{:.3f}", rows.log_density(t)));
      table.cell(fmt::format("{}", rows.expert[static_cast<std::size_t>(t)] + 1));
      table.cell(fmt::format("{:.3f}", rows.responsibility(t)));
    }
    text += table.text();
  }
  if (!diagnosis.most_influential.empty()) {
    text += "\nMost influential rows\n";
    detail::TextTable table(92, 1);
    for (const char* heading : {"leverage", "Cook, parameters", "Cook, predictions", "2 dl, one step", "left out"})
      table.column(heading);
    for (std::size_t i = 0; i < diagnosis.most_influential.size(); ++i) {
      const Index t = diagnosis.most_influential[i];
      table.begin_row(fmt::format("row {}", number(t)));
      table.cell(table_number(rows.influence.leverage(t), 4));
      table.cell(table_number(rows.influence.cook_parameters(t), 4));
      table.cell(table_number(rows.influence.cook_predictions(t), 4));
      table.cell(table_number(rows.influence.likelihood_displacement(t), 4));
      const Deletion& deletion = diagnosis.deletions[i];
      table.cell(deletion.failure.empty() ? table_number(deletion.log_likelihood_drop, 4) : "failed");
    }
    text += table.text();
    text +=
        "2 dl: how far twice the log-likelihood of all rows falls when the row takes no part in the fit; by one step, "
        "and "
        "with the fit carried on without it.\n";
  }
  text += fmt::format("\n{} that no expert explains", plural(diagnosis.unexplained.size(), "row"));
  if (!diagnosis.unexplained.empty()) {
    std::vector<std::string> words;
    words.reserve(diagnosis.unexplained.size());
    for (const Index t : diagnosis.unexplained) words.push_back(fmt::format("{}", number(t)));
    text += ": " + short_list(words);
  }
  return text + ".\n";
}

std::string optimum_section(const FitDiagnosis& diagnosis) {
  const OptimumCheck& check = diagnosis.optimum;
  std::string text = fmt::format(
      "\nOptimum: mean score {:.1e}; score against differences {:.1e}, information against differences {:.1e};\n"
      "  information {} (least eigenvalue {:.2e}, condition {:.2e}), {} of {} parameters at a bound;\n"
      "  {} steps of EM from two standard errors away: largest fall {:.1e}{}\n",
      check.mean_score, check.score_difference, check.information_difference,
      check.least_eigenvalue > 1e-9 ? "positive definite" : "NOT positive definite", check.least_eigenvalue,
      check.condition, check.at_bounds, check.parameters, check.climb_steps, check.climb_drop,
      check.climb_drop <= 1e-9 * std::max(1.0, std::abs(check.log_likelihood)) ? " (monotone)" : " (NOT MONOTONE)");
  if (diagnosis.optima.empty()) return text;
  int starts = 0;
  for (const OptimumGroup& group : diagnosis.optima) starts += group.starts;
  text += fmt::format("\nWhere {} polished starts ended\n", starts);
  constexpr std::size_t kMost = 10;
  detail::TextTable table(92, 1);
  for (const char* heading : {"log-likelihood", "below the best", "starts"}) table.column(heading);
  for (std::size_t i = 0; i < std::min(diagnosis.optima.size(), kMost); ++i) {
    const OptimumGroup& group = diagnosis.optima[i];
    table.begin_row(group.degenerate ? "noise floor" : "");
    table.cell(fmt::format("{:.4f}", group.log_likelihood));
    table.cell(fmt::format("{:.4f}", diagnosis.optima.front().log_likelihood - group.log_likelihood));
    table.cell(fmt::format("{}", group.starts));
  }
  text += table.text();
  if (diagnosis.optima.size() > kMost) text += fmt::format("({} more)\n", diagnosis.optima.size() - kMost);
  return text;
}

}  // namespace

std::string diagnosis_text(const FitDiagnosis& diagnosis, const std::vector<std::size_t>& row_numbers, int digits) {
  std::string text = residual_section(diagnosis, digits);
  text += rootogram_section(diagnosis.rootogram);
  text += expert_section(diagnosis);
  text += row_lists(diagnosis, row_numbers);
  text += optimum_section(diagnosis);
  for (const std::string& warning : diagnosis.warnings) text += "Warning: " + warning + '\n';
  return text;
}

}  // namespace clearway
