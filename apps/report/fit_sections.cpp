// What a report shows of a fit: the table of the model, intervals of its parameters, the climbs of its starts.
#include <algorithm>
#include <cmath>
#include <map>

#include "clearway/base/text.hpp"
#include "run_report.hpp"

namespace clearway::cli {

namespace {

/// Climbs that end this near to the best, relative to its size, ended in the same optimum; as the fit itself counts.
constexpr double kSameOptimum = 1e-6;
/// More climbs than this are drawn as their last points only.
constexpr std::size_t kMostPoints = 6000;

report::Table experts_table(const Json& summary) {
  report::Table table{"Experts", {"expert", "share", "prior", "size", "ratio", "sigma"}, {}};
  int number = 0;
  for (const Json& expert : summary["experts"]) {
    std::vector<Json> row{++number};
    for (const char* key : {"share", "prior", "size", "ratio", "sigma"})
      row.push_back(expert.value(key, Json(nullptr)));
    table.rows.push_back(std::move(row));
  }
  table.note =
      "share: average responsibility; prior: average gate weight; size: rows whose most responsible expert it is; "
      "ratio: "
      "those over all rows in which its responsibility is not negligible; sigma: noise standard deviation.";
  return table;
}

report::Table coefficient_table(const Json& summary) {
  report::Table table{"Coefficients", {"parameter"}, {}};
  std::vector<std::string> names;
  std::map<std::string, std::vector<Json>> rows;
  const std::size_t experts = summary["experts"].size();
  const auto collect = [&](const Json& values, const std::string& part, std::size_t expert) {
    for (const auto& [name, value] : values.items()) {
      const std::string key = part + name;
      if (rows.try_emplace(key, experts, Json(nullptr)).second) names.push_back(key);
      rows[key][expert] = value;
    }
  };
  for (std::size_t k = 0; k < experts; ++k) {
    table.columns.push_back(fmt::format("expert {}", k + 1));
    collect(summary["experts"][k]["coefficients"], "", k);
    collect(summary["experts"][k]["noise"], "noise: ", k);
    if (summary["gate"].contains("coefficients") && k < summary["gate"]["coefficients"].size())
      collect(summary["gate"]["coefficients"][k], "gate: ", k);
  }
  for (const std::string& name : names) {
    std::vector<Json> row{name};
    row.insert(row.end(), rows[name].begin(), rows[name].end());
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::optional<report::Figure> coefficient_figure(const Json& inference) {
  if (!inference.is_object() || !inference.contains("parameters")) return {};
  report::IntervalFigure figure{.x = {"estimate"}, .items = {}, .reference = 0};
  std::vector<std::string> withheld;
  for (const Json& one : inference["parameters"]) {
    if (one.value("fixed", false)) continue;
    const std::string part = one["part"];
    const int expert = one["expert"].is_number() ? one["expert"].get<int>() : 0;
    const std::string note = one["not_valid"].is_string() ? one["not_valid"].get<std::string>() : "";
    if (!note.empty()) withheld.push_back(one["name"]);
    figure.items.push_back({part, one["name"], number_of(one, "estimate"), number_of(one, "lower"),
                            number_of(one, "upper"), expert - 1, note.empty() ? "" : "no interval: " + note});
  }
  if (figure.items.empty()) return {};
  std::string note =
      fmt::format("Estimates with {:g} % confidence intervals ({} standard errors).",
                  100 * number_of(inference, "level"), inference.value("standard_errors", std::string()));
  if (!withheld.empty())
    note += fmt::format(" Withheld, because the theory behind them does not hold: {}.", short_list(withheld));
  return report::Figure{"coefficients", "Coefficients", note, std::move(figure)};
}

std::optional<report::Table> wald_table(const Json& summary) {
  if (!summary.contains("wald")) return {};
  report::Table table{"Wald tests", {"hypothesis", "statistic", "df", "p", "not valid"}, {}};
  for (const Json& test : summary["wald"])
    table.rows.push_back({test["hypothesis"], test["statistic"], test["df"], test["p"], test["not_valid"]});
  return table;
}

std::optional<report::Figure> profile_figure(const Json& summary) {
  if (!summary.contains("profile") || summary["profile"].empty()) return {};
  report::XyFigure xy{{"value"}, {"fall of 2 log-likelihood"}, {}};
  for (const Json& one : summary["profile"]) {
    report::Layer layer{.mark = report::Mark::line, .name = "profile", .group = 0, .x = {}};
    for (const Json& point : one["profile"]) {
      layer.x.push_back(number_of(point, "value"));
      layer.y.push_back(number_of(point, "deviance"));
    }
    xy.panels.push_back({one["name"], {std::move(layer)}});
  }
  return report::Figure{"profiles", "Profile likelihoods", "How much is lost when a parameter is held elsewhere.",
                        std::move(xy)};
}

report::Section overview(const Json& summary) {
  report::Section section{.title = "The model"};
  if (summary.contains("formula")) section.text.push_back(summary["formula"]);
  if (!summary.value("converged", true))
    section.warnings.push_back(fmt::format("Not converged: {}.", summary.value("reason", std::string("not said"))));
  for (const char* key : {"warnings", "notes"})
    if (summary.contains(key))
      for (const Json& words : summary[key])
        (std::string_view(key) == "notes" ? section.text : section.warnings).push_back(words);
  section.blocks.emplace_back(fact_table("Fit", summary,
                                         {{"data", "table"},
                                          {"n", "rows"},
                                          {"dropped_rows", "rows left out"},
                                          {"log_likelihood", "log-likelihood"},
                                          {"df", "degrees of freedom"},
                                          {"aic", "AIC (smaller is better)"},
                                          {"bic", "BIC (smaller is better)"},
                                          {"icl", "ICL (smaller is better)"},
                                          {"entropy", "entropy of the memberships"},
                                          {"converged", "converged"},
                                          {"reason", "ended because"},
                                          {"iterations", "iterations"},
                                          {"start", "start that won"},
                                          {"starts", "starts"},
                                          {"starts_polished", "carried to the end"},
                                          {"starts_agreed", "agreed on the optimum"},
                                          {"form", "form"},
                                          {"seed", "seed"},
                                          {"seconds", "seconds"}}));
  if (summary.contains("experts")) {
    section.blocks.emplace_back(experts_table(summary));
    section.blocks.emplace_back(coefficient_table(summary));
  }
  return section;
}

}  // namespace

std::optional<report::Figure> likelihood_paths(const ReportedRun& run, const Json& summary) {
  std::map<int, report::Layer> climbs;
  std::size_t points = 0;
  for (const Json& line : lines_of(run.folder, "history.jsonl")) {
    const int start = line.value("start", 0);
    report::Layer& climb = climbs[start];
    climb.x.push_back(number_of(line, "iteration"));
    climb.y.push_back(number_of(line, "log_likelihood"));
    ++points;
  }
  if (climbs.empty()) return {};
  // Which of the starts ended where the fit did.
  const double best = number_of(summary, "log_likelihood");
  std::map<int, bool> degenerate;
  if (summary.contains("tournament")) {
    int number = 0;
    for (const Json& record : summary["tournament"]) degenerate[number++] = record.value("degenerate", false);
  }
  report::Panel panel;
  int same = 0, below = 0, spikes = 0;
  for (auto& [start, climb] : climbs) {
    const double end = climb.y.back();
    const bool spike = degenerate[start] || end > best + kSameOptimum * std::abs(best);
    const bool reached = !spike && std::abs(end - best) <= kSameOptimum * (1 + std::abs(best));
    climb.name = spike ? "spike of the likelihood" : reached ? "ended at the best optimum" : "stopped or stuck below";
    climb.group = spike ? 3 : reached ? 0 : 1;
    climb.dashed = !reached;
    ++(spike ? spikes : reached ? same : below);
    if (points > kMostPoints) {  // the last stretch tells who got stuck where
      const std::size_t keep = std::max<std::size_t>(2, kMostPoints / climbs.size());
      if (climb.x.size() > keep) {
        climb.x.erase(climb.x.begin(), climb.x.end() - static_cast<std::ptrdiff_t>(keep));
        climb.y.erase(climb.y.begin(), climb.y.end() - static_cast<std::ptrdiff_t>(keep));
      }
    }
    panel.layers.push_back(std::move(climb));
  }
  std::stable_sort(panel.layers.begin(), panel.layers.end(),
                   [](const auto& a, const auto& b) { return a.group > b.group; });  // the best on top
  std::string note = fmt::format(
      "{} of {} recorded climbs ended at the best log-likelihood{}{}. Short climbs are cut off by design: only the "
      "best "
      "of them go on.",
      same, climbs.size(), below > 0 ? fmt::format(", {} below it", below) : "",
      spikes > 0 ? fmt::format(", {} at a spike that is no estimate", spikes) : "");
  return report::Figure{"likelihood-paths", "Likelihood paths of the starts", note,
                        report::XyFigure{{"iteration"}, {"log-likelihood"}, {std::move(panel)}}};
}

std::vector<report::Section> fit_sections(const ReportedRun& run, const ReportOptions& options) {
  std::vector<report::Section> sections;
  if (run.summary.is_object()) {
    sections.push_back(overview(run.summary));
  } else {
    sections.push_back({.title = "The model", .warnings = {"The run folder holds no summary.json."}});
  }
  for (report::Section& section : model_sections(run, options)) sections.push_back(std::move(section));
  report::Section inference{.title = "How sure"};
  if (run.summary.is_object()) {
    if (run.summary.contains("inference")) {
      if (auto figure = coefficient_figure(run.summary["inference"])) inference.blocks.emplace_back(*std::move(figure));
      if (run.summary["inference"].is_object())
        for (const Json& finding : run.summary["inference"].value("findings", Json::array()))
          inference.warnings.push_back(finding["sentence"]);
    }
    if (auto figure = profile_figure(run.summary)) inference.blocks.emplace_back(*std::move(figure));
    if (auto table = wald_table(run.summary)) inference.blocks.emplace_back(*std::move(table));
  }
  if (!inference.blocks.empty()) sections.push_back(std::move(inference));
  report::Section search{.title = "The search"};
  if (auto figure = likelihood_paths(run, run.summary)) search.blocks.emplace_back(*std::move(figure));
  if (run.summary.is_object() && run.summary.contains("tournament") && !run.summary["tournament"].empty()) {
    report::Table table{"Starts that were tried",
                        {"start", "kind", "after the short climb", "at the end", "iterations", "degenerate", "failure"},
                        {}};
    int number = 0;
    for (const Json& one : run.summary["tournament"])
      table.rows.push_back({number++, one["start"], one["short_log_likelihood"], one["log_likelihood"],
                            one["iterations"], one["degenerate"], one["failure"]});
    // The best first, and not more than one reads.
    const auto end_of = [](const std::vector<Json>& row) {
      return row[3].is_number() ? row[3].get<double>() : -std::numeric_limits<double>::infinity();
    };
    std::stable_sort(table.rows.begin(), table.rows.end(),
                     [&](const auto& a, const auto& b) { return end_of(a) > end_of(b); });
    if (table.rows.size() > 40) {
      table.note = fmt::format("The best 40 of {}; summary.json has all.", table.rows.size());
      table.rows.resize(40);
    }
    search.blocks.emplace_back(std::move(table));
  }
  if (!search.blocks.empty()) sections.push_back(std::move(search));
  return sections;
}

}  // namespace clearway::cli
