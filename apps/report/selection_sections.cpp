// What a report shows of a selection: the criteria along the number of experts, the dendrogram, the recommended model.
#include <cmath>
#include <map>
#include <numeric>

#include "run_report.hpp"

namespace clearway::cli {

namespace {

std::string family_of(const Json& candidate) {
  return fmt::format("{}, {} gate", candidate["expert"].get<std::string>(), candidate["gate"].get<std::string>());
}

report::Table path_table(const Json& summary) {
  report::Table table{"Candidates", {"", "experts", "gate", "expert", "log-likelihood", "df"}, {}};
  const Json& candidates = summary["candidates"];
  std::vector<std::string> criteria;
  for (const Json& one : candidates)
    for (const auto& [name, value] : one["criteria"].items())
      if (value.is_number() && std::find(criteria.begin(), criteria.end(), name) == criteria.end())
        criteria.push_back(name);
  table.columns.insert(table.columns.end(), criteria.begin(), criteria.end());
  table.columns.insert(table.columns.end(), {"cross-validated log score", "set aside because"});
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Json& one = candidates[i];
    const bool best = summary["recommended"].is_number() && summary["recommended"].get<std::size_t>() == i;
    std::vector<Json> row{best ? "recommended" : "", one["experts"],           one["gate"], one["expert"],
                          one["log_likelihood"],     one["degrees_of_freedom"]};
    for (const std::string& name : criteria) row.push_back(one["criteria"].value(name, Json(nullptr)));
    row.push_back(one["cross_validation"].is_object() ? one["cross_validation"]["log_score"]["value"] : Json(nullptr));
    row.push_back(one["excluded"].is_string() ? one["excluded"] : Json(""));
    table.rows.push_back(std::move(row));
  }
  table.note = summary.value("convention", std::string());
  return table;
}

/// One panel per measure, a line per kind of gate and expert.
class Panels {
 public:
  void add(const std::string& measure, const Json& candidate, double value, double error) {
    if (!std::isfinite(value)) return;
    const std::string family = family_of(candidate);
    const int group = groups_.try_emplace(family, static_cast<int>(groups_.size())).first->second;
    if (lines_.find(measure) == lines_.end()) order_.push_back(measure);
    report::Layer& layer = lines_[measure][group];
    layer.mark = std::isfinite(error) ? report::Mark::intervals : report::Mark::line;
    layer.name = family;
    layer.group = group;
    layer.x.push_back(candidate["experts"].get<double>());
    layer.y.push_back(value);
    if (std::isfinite(error)) {
      layer.low.push_back(value - error);
      layer.high.push_back(value + error);
    }
  }
  report::XyFigure finish() {
    report::XyFigure xy{{"experts"}, {""}, {}};
    xy.shared_y = false;
    for (const std::string& measure : order_) {
      report::Panel panel{measure, {}};
      for (auto& [group, layer] : lines_[measure]) {
        report::Layer points = layer;
        if (points.mark == report::Mark::line) points.mark = report::Mark::points;
        if (layer.mark == report::Mark::line) panel.layers.push_back(std::move(layer));
        panel.layers.push_back(std::move(points));
      }
      xy.panels.push_back(std::move(panel));
    }
    return xy;
  }

 private:
  std::map<std::string, int> groups_;
  std::vector<std::string> order_;
  std::map<std::string, std::map<int, report::Layer>> lines_;
};

report::Figure criteria_figure(const Json& summary) {
  Panels panels;
  for (const Json& one : summary["candidates"]) {
    if (one["excluded"].is_string()) continue;
    for (const auto& [key, name] : {std::pair{"bic", "BIC (smaller is better)"},
                                    {"aic", "AIC (smaller is better)"},
                                    {"icl", "ICL (smaller is better)"}})
      panels.add(name, one, number_of(one["criteria"], key), report::kUnknown);
    panels.add("log-likelihood", one, number_of(one, "log_likelihood"), report::kUnknown);
    if (!one["cross_validation"].is_object()) continue;
    for (const auto& [key, name] : {std::pair{"log_score", "cross-validated log score (larger is better)"},
                                    {"rmse", "cross-validated RMSE (smaller is better)"}})
      panels.add(name, one, number_of(one["cross_validation"][key], "value"),
                 number_of(one["cross_validation"][key], "error"));
  }
  report::XyFigure xy = panels.finish();
  std::string note = "Candidates that were set aside are left out. Bars: one standard error.";
  if (summary["recommended"].is_number()) {
    const Json& best = summary["candidates"][summary["recommended"].get<std::size_t>()];
    xy.rules.push_back({.x = best["experts"].get<double>()});
    note += " Dashed: the recommended number of experts.";
  }
  return {"criteria", "Criteria along the number of experts", note, std::move(xy)};
}

std::optional<report::Figure> dendrogram(const Json& tree) {
  if (!tree.is_object() || tree["merges"].empty()) return {};
  report::TreeFigure figure{{"dissimilarity"}, {}, {}};
  const int experts = tree["merges"][0]["experts"];
  std::vector<int> nodes(static_cast<std::size_t>(experts));
  std::iota(nodes.begin(), nodes.end(), 0);
  for (const int k : nodes) figure.leaves.push_back(fmt::format("expert {}", k + 1));
  int next = experts;
  for (const Json& merge : tree["merges"]) {
    const auto first = merge["merges"][0].get<std::size_t>() - 1, second = merge["merges"][1].get<std::size_t>() - 1;
    figure.merges.push_back({nodes.at(first), nodes.at(second), merge["height"]});
    nodes[first] = next++;
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(second));
  }
  return report::Figure{
      "selection-dendrogram", "Dendrogram of the largest model",
      fmt::format("Its two closest experts merge again and again; {} is the number of experts by this "
                  "dendrogram's criterion.",
                  tree["chosen"].get<int>()),
      std::move(figure)};
}

}  // namespace

std::vector<report::Section> selection_sections(const ReportedRun& run, const ReportOptions& options) {
  std::vector<report::Section> sections;
  report::Section section{.title = "The choice"};
  if (!run.summary.is_object() || !run.summary.contains("candidates")) {
    section.warnings.emplace_back("The run folder holds no summary.json of a selection.");
    if (run.folder.has("summary.txt"))
      section.blocks.emplace_back(report::Printed{"What was printed", run.folder.read("summary.txt")});
    return {section};
  }
  for (const Json& reason : run.summary.value("reasons", Json::array())) section.text.push_back(reason);
  for (const Json& warning : run.summary.value("warnings", Json::array())) section.warnings.push_back(warning);
  section.blocks.emplace_back(path_table(run.summary));
  section.blocks.emplace_back(criteria_figure(run.summary));
  if (auto figure = dendrogram(run.summary.value("dendrogram", Json(nullptr))))
    section.blocks.emplace_back(*std::move(figure));
  sections.push_back(std::move(section));
  if (run.folder.has("model.json") && run.summary.contains("model")) {
    ReportedRun recommended = run;  // a selection's folder holds the recommended fit as clearway fit would leave it
    recommended.summary = run.summary["model"];
    for (report::Section& one : fit_sections(recommended, options)) sections.push_back(std::move(one));
  }
  return sections;
}

}  // namespace clearway::cli
