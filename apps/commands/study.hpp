// What all studies share: where their results go. Each study is a command of its own, "clearway study NAME", in
// study_<name>.cpp.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../command.hpp"
#include "clearway/io/json.hpp"

namespace clearway::cli {

struct StudyOutput {
  std::string out;
  bool force = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "run folder to write; without it nothing is kept", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the run that the folder holds"});
  }
};

/// What a study leaves: a summary to read, one to parse, and tables (name of the file, its bytes).
struct StudyFiles {
  std::string text;
  std::string json;
  std::vector<std::pair<std::string, std::string>> tables = {};
};

/// The effective options of a study, as config.json keeps them.
Json study_config(const Command& command, const Context& context);

/// Runs `study`, which returns StudyFiles, between making the run folder (where --out asks for one) and filling it, and
/// prints the summary.
void write_study(const Command& command, const Context& context, const StudyOutput& output,
                 const std::function<StudyFiles()>& study);

}  // namespace clearway::cli
