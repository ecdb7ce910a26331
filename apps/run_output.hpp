// Where a command leaves its results: a run folder, configuration included, and standard output.
#pragma once

#include <string>
#include <string_view>

#include "clearway/io/json.hpp"
#include "clearway/io/run_folder.hpp"
#include "command.hpp"

namespace clearway::cli {

struct RunOutput {
  std::string out;
  bool force = false;
  bool report = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "run folder to write; without it nothing is kept", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the run that the folder holds"});
    field("report", self.report,
          OptionInfo{.help = "also draw the run: report.html in its folder, as clearway report writes it"});
  }
};

/// A run folder that disappears again when the command fails before anything was written to it.
class NewRun {
 public:
  explicit NewRun(const RunOutput& output) : folder_(RunFolder::create(output.out, output.force)) {}
  ~NewRun();
  NewRun(const NewRun&) = delete;
  NewRun& operator=(const NewRun&) = delete;

  const RunFolder& keep() {
    kept_ = true;
    return folder_;
  }

 private:
  RunFolder folder_;
  bool kept_ = false;
};

/// Every option that shapes the result, under the keys that --config reads; what config.json of a run folder holds.
Json run_config(std::string_view command, const OptionList& options);

/// Prints a result that --quiet silences: the object with --json, else the text.
void print_result(const Context& context, const std::string& text, const Json& json);

/// Throws std::invalid_argument when there is a file already; not with `force`, for "-" (standard output) or "" (none).
void refuse_present(const std::string& path, bool force);

}  // namespace clearway::cli
