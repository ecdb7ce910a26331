// From run folders to the page of a report: which figures and tables a run of each command has. Every number comes from a
// file of the run folder, or from the model there and the table that it was fitted to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/io/run_folder.hpp"
#include "clearway/report/page.hpp"

namespace clearway::cli {

struct ReportOptions {
  std::string data;
  int points = 1500;
  std::string routing;
  std::string explained;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.data,
          OptionInfo{.help = "the table that a model was fitted to; default: the file that its config.json names",
                     .metavar = "FILE"});
    field("points", self.points,
          OptionInfo{.help = "most rows that are drawn as points; of larger tables equally spaced rows",
                     .minimum = 10,
                     .maximum = 20000});
    field("routing", self.routing,
          OptionInfo{.help = "what clearway generate --show-experts --json printed: tokens coloured by their experts",
                     .metavar = "FILE"});
    field("explained", self.explained,
          OptionInfo{.help = "what clearway fuse predict --explain ID --json printed: chosen samples",
                     .metavar = "FILE"});
  }
};

/// A run folder, opened.
struct ReportedRun {
  RunFolder folder;
  std::string name;     ///< of the folder, for headings and legends
  std::string command;  ///< that made it: "fit", "select", "train", "study rates" ...
  Json config;          ///< config.json, or null
  Json summary;         ///< summary.json, or null
};

/// Throws std::invalid_argument when there is no run, or one that no report knows.
ReportedRun open_run(const std::string& path);

/// The page of one run, or of several: then a comparison comes first.
report::Page report_page(const std::vector<ReportedRun>& runs, const ReportOptions& options);

/// Writes report.html into a run folder, for --report.
void write_report(const std::string& folder);

// The sections of a run, by command.
std::vector<report::Section> fit_sections(const ReportedRun& run, const ReportOptions& options);
std::vector<report::Section> selection_sections(const ReportedRun& run, const ReportOptions& options);
std::vector<report::Section> rates_sections(const ReportedRun& run);
std::vector<report::Section> gridlock_sections(const ReportedRun& run);
std::vector<report::Section> training_sections(const ReportedRun& run, const ReportOptions& options);
std::vector<report::Section> fusion_sections(const ReportedRun& run, const ReportOptions& options);
std::vector<report::Section> fusion_sweep_sections(const ReportedRun& run);
/// What several runs have in common, side by side.
report::Section comparison_section(const std::vector<ReportedRun>& runs);

// Parts of them.

/// Of the model in a run folder, at the table that it was fitted to: fitted experts, gate, residuals. Where the table is
/// not to be had, one section that says so.
std::vector<report::Section> model_sections(const ReportedRun& run, const ReportOptions& options);
/// The climbs of all starts, from history.jsonl; nothing where there are none.
std::optional<report::Figure> likelihood_paths(const ReportedRun& run, const Json& summary);
/// The rows of an object under names for people; keys that are not there are left out.
report::Table fact_table(std::string title, const Json& object,
                         const std::vector<std::pair<const char*, const char*>>& facts);
/// The lines of a file of the folder, or none.
std::vector<Json> lines_of(const RunFolder& folder, std::string_view name);
/// A number of an object, or NaN.
double number_of(const Json& object, std::string_view key);
report::Numbers numbers_of(const Json& list);

}  // namespace clearway::cli
