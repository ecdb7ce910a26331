#include "run_report.hpp"

#include <cmath>
#include <filesystem>

#include "build_information.hpp"
#include "clearway/base/errors.hpp"

namespace clearway::cli {

namespace {

namespace fs = std::filesystem;

/// The command that made a run, from what the folder holds.
std::string command_of(const ReportedRun& run) {
  const auto from = [](const Json& json) -> std::string {
    return json.is_object() && json.contains("command") && json["command"].is_string() ? json["command"] : "";
  };
  // The config.json of a selection is that of the fit it recommends.
  if (run.folder.has("select.json")) return "select";
  const std::string named = from(run.config);
  if (!named.empty()) return named;
  if (run.summary.is_object() && run.summary.contains("study"))
    return "study " + run.summary["study"].get<std::string>();
  return from(run.summary);
}

/// A study that has no figures of its own: what it printed, and its numbers.
std::vector<report::Section> printed_sections(const ReportedRun& run) {
  report::Section section{.title = "Summary"};
  if (run.folder.has("summary.txt"))
    section.blocks.emplace_back(report::Printed{"What was printed", run.folder.read("summary.txt")});
  else
    section.text.emplace_back("The run folder holds no summary yet.");
  return {section};
}

std::vector<report::Section> sections_of(const ReportedRun& run, const ReportOptions& options) {
  if (run.command == "fit") return fit_sections(run, options);
  if (run.command == "select") return selection_sections(run, options);
  if (run.command == "train") return training_sections(run, options);
  if (run.command == "study rates") return rates_sections(run);
  if (run.command == "study gridlock") return gridlock_sections(run);
  if (run.command == "fuse train") return fusion_sections(run, options);
  if (run.command == "fuse sweep") return fusion_sweep_sections(run);
  return printed_sections(run);
}

}  // namespace

ReportedRun open_run(const std::string& path) {
  ReportedRun run{RunFolder::open(path), "", "", nullptr, nullptr};
  fs::path folder = fs::path(path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  run.name = folder.filename().string();
  if (run.name.empty() || run.name == "." || run.name == "..")
    run.name = fs::weakly_canonical(folder).filename().string();
  if (run.folder.has("config.json")) run.config = run.folder.read_json("config.json");
  if (run.folder.has("summary.json")) run.summary = run.folder.read_json("summary.json");
  run.command = command_of(run);
  if (run.command.empty() && run.folder.has("model.json")) run.command = "fit";
  if (run.command.empty())
    user_error("{}: neither config.json nor summary.json says which command made this run", path);
  return run;
}

report::Page report_page(const std::vector<ReportedRun>& runs, const ReportOptions& options) {
  report::Page page;
  if (runs.size() == 1) {
    const ReportedRun& run = runs.front();
    page.title = fmt::format("{}: clearway {}", run.name, run.command);
    page.sections = sections_of(run, options);
  } else {
    page.title = fmt::format("{} runs compared", runs.size());
    page.sections.push_back(comparison_section(runs));
    for (const ReportedRun& run : runs)
      for (report::Section& section : sections_of(run, options)) {
        section.title = fmt::format("{}: {}", run.name, section.title);
        page.sections.push_back(std::move(section));
      }
  }
  std::string folders;
  for (const ReportedRun& run : runs) folders += (folders.empty() ? "" : ", ") + run.folder.path();
  page.lead = fmt::format("From {} {}. The numbers of every chart are in this file; nothing is loaded from elsewhere.",
                          runs.size() == 1 ? "the run folder" : "the run folders", folders);
  return page;
}

void write_report(const std::string& folder) {
  const ReportedRun run = open_run(folder);
  run.folder.write("report.html", report::html_page(report_page({run}, {}), fmt::format("Clearway {}", kVersion)));
}

report::Table fact_table(std::string title, const Json& object,
                         const std::vector<std::pair<const char*, const char*>>& facts) {
  report::Table table{std::move(title), {"", ""}, {}};
  for (const auto& [key, name] : facts)
    if (object.is_object() && object.contains(key) && !object[key].is_null() && !object[key].is_structured())
      table.rows.push_back({name, object[key]});
  return table;
}

std::vector<Json> lines_of(const RunFolder& folder, std::string_view name) {
  return folder.has(name) ? read_json_lines(folder.file(name)) : std::vector<Json>();
}

double number_of(const Json& object, std::string_view key) {
  if (!object.is_object()) return report::kUnknown;
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : report::kUnknown;
}

report::Numbers numbers_of(const Json& list) {
  report::Numbers numbers;
  if (list.is_array())
    for (const Json& value : list) numbers.push_back(value.is_number() ? value.get<double>() : report::kUnknown);
  return numbers;
}

}  // namespace clearway::cli
