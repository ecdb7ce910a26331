// Several runs side by side: a table of what they have in common, and curves over one another.
#include <cmath>

#include "run_report.hpp"

namespace clearway::cli {

namespace {

/// Where a selection has the facts of its recommended model.
const Json& facts_of(const ReportedRun& run) {
  return run.command == "select" && run.summary.is_object() && run.summary.contains("model") ? run.summary["model"]
                                                                                             : run.summary;
}

void add_curves(report::Section& section, const std::vector<ReportedRun>& runs, const char* key, const char* id,
                const char* title, const char* unit) {
  report::XyFigure xy{{"step"}, {unit}, {{"", {}}}};
  xy.zoom = true;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    report::Layer layer{.mark = report::Mark::line, .name = runs[r].name, .group = static_cast<int>(r), .x = {}};
    for (const Json& line : lines_of(runs[r].folder, "metrics.jsonl"))
      if (const double value = number_of(line, key); std::isfinite(value)) {
        layer.x.push_back(number_of(line, "step"));
        layer.y.push_back(value);
      }
    if (!layer.x.empty()) xy.panels.front().layers.push_back(std::move(layer));
  }
  if (xy.panels.front().layers.size() > 1) section.blocks.emplace_back(report::Figure{id, title, "", std::move(xy)});
}

}  // namespace

report::Section comparison_section(const std::vector<ReportedRun>& runs) {
  report::Section section{.title = "Side by side"};
  report::Table table{"Runs", {""}, {}};
  for (const ReportedRun& run : runs) table.columns.push_back(run.name);
  const auto add = [&](const char* name, auto&& value_of) {
    std::vector<Json> row{name};
    bool known = false;
    for (const ReportedRun& run : runs) {
      row.push_back(value_of(run));
      known |= !row.back().is_null();
    }
    if (known) table.rows.push_back(std::move(row));
  };
  add("command", [](const ReportedRun& run) { return Json(run.command); });
  for (const auto& [key, name] : {std::pair{"formula", "model"},
                                  {"n", "rows"},
                                  {"log_likelihood", "log-likelihood"},
                                  {"df", "degrees of freedom"},
                                  {"aic", "AIC"},
                                  {"bic", "BIC"},
                                  {"icl", "ICL"},
                                  {"router", "router"},
                                  {"parameters", "parameters"},
                                  {"steps", "steps"},
                                  {"loss", "loss of the last step"},
                                  {"metric", "best measured as"},
                                  {"best", "best"},
                                  {"tokens_per_second", "tokens per second"},
                                  {"converged", "converged"},
                                  {"seconds", "seconds"}})
    add(name, [&, k = key](const ReportedRun& run) {
      const Json& facts = facts_of(run);
      return facts.is_object() && facts.contains(k) && !facts[k].is_structured() ? facts[k] : Json(nullptr);
    });
  section.blocks.emplace_back(std::move(table));
  add_curves(section, runs, "train/loss", "compared-loss", "Training loss", "nats per token");
  add_curves(section, runs, "valid/loss", "compared-validation", "Validation loss", "nats per token");
  report::XyFigure paths{{"iteration"}, {"log-likelihood"}, {{"", {}}}};
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const auto figure = likelihood_paths(runs[r], facts_of(runs[r]));
    if (!figure) continue;
    // The best climbs lie on top; one of them stands for the run.
    report::Layer best = std::get<report::XyFigure>(figure->content).panels.front().layers.back();
    if (best.group != 0) continue;
    best.name = runs[r].name;
    best.group = static_cast<int>(r);
    best.dashed = false;
    paths.panels.front().layers.push_back(std::move(best));
  }
  if (paths.panels.front().layers.size() > 1)
    section.blocks.emplace_back(report::Figure{
        "compared-paths", "A climb to the best log-likelihood of each run",
        "Log-likelihoods compare only where the runs have the same rows and response.", std::move(paths)});
  return section;
}

}  // namespace clearway::cli
