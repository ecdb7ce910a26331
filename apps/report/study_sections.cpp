// What a report shows of the studies of rates and of gridlock.
#include <algorithm>
#include <cmath>
#include <map>

#include "clearway/base/text.hpp"
#include "run_report.hpp"

namespace clearway::cli {

namespace {

report::Section printed(const ReportedRun& run, std::string title) {
  report::Section section{.title = std::move(title)};
  if (run.folder.has("summary.txt"))
    section.blocks.emplace_back(report::Printed{"What was printed", run.folder.read("summary.txt")});
  return section;
}

double median(report::Numbers values) {
  if (values.empty()) return report::kUnknown;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

/// The line of that slope on log-log paper which has as many points above as below it (Theil-Sen's).
report::Layer slope_line(const std::string& name, int group, bool dashed, double slope, const report::Numbers& rows,
                         const report::Numbers& errors) {
  report::Numbers levels;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (errors[i] > 0) levels.push_back(std::log(errors[i]) - slope * std::log(rows[i]));
  const double level = median(std::move(levels));
  report::Layer line{.mark = report::Mark::line, .name = name, .group = group, .x = {}, .dashed = dashed};
  for (const double n : {rows.front(), rows.back()}) {
    line.x.push_back(n);
    line.y.push_back(std::exp(level + slope * std::log(n)));
  }
  return line;
}

}  // namespace

std::vector<report::Section> rates_sections(const ReportedRun& run) {
  const Json& summary = run.summary;
  if (!summary.is_object() || !summary.contains("lines")) return {printed(run, "Summary")};
  report::Section section{.title = "Rates"};
  for (const char* key : {"title", "paper", "theory"})
    if (summary.contains(key) && summary[key].is_string()) section.text.push_back(summary[key]);
  for (const Json& remark : summary.value("remarks", Json::array())) section.text.push_back(remark);
  const report::Numbers rows = numbers_of(summary["rows"]);

  report::Table table{"Slopes on log-log paper",
                      {"fitted", "quantity", "slope", "low", "high", "theory", "theory with log", "verdict"},
                      {}};
  report::IntervalFigure slopes{{"slope"}, {}};
  std::map<int, report::XyFigure> errors;
  for (const Json& line : summary["lines"]) {
    const int fitted = line["fitted"];
    const std::string quantity = line["quantity"];
    const Json& interval = line["interval"];
    table.rows.push_back({fitted, quantity, line["slope"], interval[0], interval[1], line["theory"],
                          line["theory_with_log"], line["verdict"]});
    const double slope = number_of(line, "slope"), theory = number_of(line, "theory");
    const report::Numbers ends = numbers_of(interval);
    slopes.items.push_back({plural(static_cast<std::size_t>(fitted), "fitted expert"), quantity, slope, ends[0],
                            ends[1], 0, std::isfinite(theory) ? fmt::format("theory {:.4g}", theory) : ""});
    const auto [place, is_new] = errors.try_emplace(fitted);
    if (is_new) place->second = {{"rows", true}, {"error", true}, {}};
    const report::Numbers medians = numbers_of(line["median"]);
    if (rows.size() < 2 || medians.size() != rows.size()) continue;
    report::Panel panel{quantity, {}};
    panel.layers.push_back({.mark = report::Mark::intervals,
                            .name = "median and quartiles",
                            .group = 0,
                            .x = rows,
                            .y = medians,
                            .low = numbers_of(line["lower_quartile"]),
                            .high = numbers_of(line["upper_quartile"])});
    if (std::isfinite(slope)) panel.layers.push_back(slope_line("fitted slope", 0, false, slope, rows, medians));
    if (std::isfinite(theory)) panel.layers.push_back(slope_line("slope of theory", 1, true, theory, rows, medians));
    place->second.panels.push_back(std::move(panel));
  }
  for (auto& [fitted, xy] : errors) {
    if (xy.panels.empty()) continue;
    xy.shared_y = false;
    section.blocks.emplace_back(report::Figure{
        fmt::format("errors-{}", fitted),
        fmt::format("Error against the number of rows, {}", plural(static_cast<std::size_t>(fitted), "fitted expert")),
        "Both axes are logarithmic. Theory bounds the error from above: a steeper fall does not contradict it.",
        std::move(xy)});
  }
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(report::Figure{"slopes", "Slopes with their intervals",
                                             "Theil-Sen slopes of the medians with 95 % bootstrap intervals.",
                                             std::move(slopes)});
  return {section, printed(run, "As printed")};
}

std::vector<report::Section> gridlock_sections(const ReportedRun& run) {
  const Json& summary = run.summary;
  if (!summary.is_object() || !summary.contains("cells")) return {printed(run, "Summary")};
  report::Section section{.title = "Gridlock"};
  report::XyFigure traces{{"iteration"}, {"median regressor error", true}, {}};
  report::IntervalFigure stuck{{"share of climbs in a local optimum"}, {}, 0};
  report::Table table{"Errors and iterations (medians)",
                      {"cell", "g", "experts", "rows", "method", "regressor error", "10 %", "90 %", "gate error",
                       "sigma error", "iterations", "in a local optimum", "of"},
                      {}};
  std::map<std::string, int> groups;
  for (const Json& cell : summary["cells"]) {
    const std::string title = fmt::format("{}, {}, {} experts", cell["cell"].get<std::string>(),
                                          cell["g"].get<std::string>(), cell["experts"].get<int>());
    report::Panel panel{title, {}};
    for (const auto& [method, result] : cell["methods"].items()) {
      const int group = groups.try_emplace(method, static_cast<int>(groups.size())).first->second;
      table.rows.push_back({cell["cell"], cell["g"], cell["experts"], cell["rows"], method, result["regressor_error"],
                            result["regressor_error_q10"], result["regressor_error_q90"], result["gate_error"],
                            result["sigma_error"], result["iterations"], result["local_optima"], result["available"]});
      if (cell.value("main", true) && result.contains("trace")) {
        report::Layer layer{.mark = report::Mark::line, .name = method, .group = group, .x = {}};
        layer.y = numbers_of(result["trace"]);
        for (std::size_t i = 0; i < layer.y.size(); ++i) layer.x.push_back(static_cast<double>(i));
        if (!layer.y.empty()) panel.layers.push_back(std::move(layer));
      }
      const double available = number_of(result, "available");
      const report::Numbers ends = numbers_of(result["local_optima_interval"]);
      if (available > 0 && ends.size() == 2)
        stuck.items.push_back({title, method, number_of(result, "local_optima") / available, ends[0], ends[1], group});
    }
    if (!panel.layers.empty()) traces.panels.push_back(std::move(panel));
  }
  if (!traces.panels.empty())
    section.blocks.emplace_back(report::Figure{
        "error-by-iteration", "Error against iterations of EM",
        "The vertical axis is logarithmic. The oracle starts at the truth; its error at iteration 0 is none.",
        std::move(traces)});
  section.blocks.emplace_back(report::Figure{"local-optima", "How often EM was stuck",
                                             "Share of climbs that ended in a local optimum, with 95 % intervals.",
                                             std::move(stuck)});
  section.blocks.emplace_back(std::move(table));
  return {section, printed(run, "As printed")};
}

}  // namespace clearway::cli
