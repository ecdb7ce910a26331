// The path of a penalised fit as text and CSV.
#include <cmath>

#include "clearway/base/text.hpp"
#include "clearway/stat/penalised.hpp"
#include "clearway/stat/summary.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

std::string inputs_left(const std::vector<bool>& support, const std::vector<std::string>& names) {
  std::vector<std::string> left;
  for (std::size_t j = 0; j < support.size(); ++j)
    if (support[j]) left.push_back(names[j]);
  return left.empty() ? std::string("none") : short_list(left, 20);
}

}  // namespace

std::string penalised_text(const PenalisedPath& path, const std::vector<std::string>& expert_names,
                           const std::vector<std::string>& gate_names, int digits) {
  const PenaltyOptions& penalty = path.penalty;
  std::string out =
      fmt::format("Path of {} penalties on the slopes of {}, {} experts{}\n\n", enum_name(penalty.kind),
                  penalty.on == PenaltyTarget::both ? "gate and experts" : std::string(enum_name(penalty.on)),
                  path.experts, penalty.relax ? ", refitted without penalty" : "");
  detail::TextTable table(110);
  table.column("expert slopes");
  table.column("gate slopes");
  table.column("df");
  table.column("log L");
  table.column("BIC ");
  if (path.chosen_by_validation) table.column("mean log p (SE)");
  table.column("iterations");
  for (std::size_t s = 0; s < path.points.size(); ++s) {
    const PenalisedPoint& point = path.points[s];
    const bool marked = s == path.chosen;
    table.begin_row(table_number(point.strength, 4) + (point.degenerate  ? " (noise floor)"
                                                       : point.converged ? ""
                                                                         : " (not converged)"));
    table.cell(std::to_string(point.expert_slopes));
    table.cell(std::to_string(point.gate_slopes));
    table.cell(std::to_string(point.degrees_of_freedom));
    table.cell(table_number(point.log_likelihood, digits + 1));
    table.cell(table_number(point.criteria.bic, digits + 1) + (marked && !path.chosen_by_validation ? "*" : " "));
    if (path.chosen_by_validation)
      table.cell(fmt::format("{}{} ({})", table_number(point.log_score.value, digits), marked ? "*" : "",
                             table_number(point.log_score.error, 2)));
    table.cell(std::to_string(point.iterations));
  }
  out += "strength\n" + table.text();
  const PenalisedPoint& chosen = path.points[path.chosen];
  out += fmt::format("\nChosen by {}: strength {}. Without penalty BIC is {} (df {}).\n",
                     path.chosen_by_validation ? "cross-validated log-likelihood" : "BIC",
                     table_number(chosen.strength, 4), table_number(path.unpenalised.bic, digits + 1),
                     path.unpenalised.degrees_of_freedom);
  for (std::size_t k = 0; k < chosen.expert_support.size(); ++k)
    out += fmt::format("  expert {}: {}\n", k + 1, inputs_left(chosen.expert_support[k], expert_names));
  for (std::size_t k = 0; k + 1 < chosen.gate_support.size(); ++k)
    out += fmt::format("  gate {} against {}: {}\n", k + 1, chosen.gate_support.size(),
                       inputs_left(chosen.gate_support[k], gate_names));
  return out;
}

std::string penalised_csv(const PenalisedPath& path) {
  std::string out =
      "experts,strength,expert_slopes,gate_slopes,df,log_likelihood,objective,aic,bic,icl,cv_log_score,cv_log_score_se,"
      "violation,iterations,converged,chosen\n";
  const auto number = [](double value) { return std::isnan(value) ? std::string("NA") : fmt::format("{}", value); };
  for (std::size_t s = 0; s < path.points.size(); ++s) {
    const PenalisedPoint& p = path.points[s];
    out +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", path.experts, p.strength, p.expert_slopes,
                    p.gate_slopes, p.degrees_of_freedom, number(p.log_likelihood), number(p.objective),
                    number(p.criteria.aic), number(p.criteria.bic), number(p.criteria.icl), number(p.log_score.value),
                    number(p.log_score.error), number(p.violation), p.iterations, p.converged, s == path.chosen);
  }
  return out;
}

}  // namespace clearway
