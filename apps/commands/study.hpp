// What all studies share: where their results go. Each study is a command of its own, "clearway study NAME", in
// study_<name>.cpp.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../run_output.hpp"

namespace clearway::cli {

/// What a study leaves: a summary to read, one to parse, and tables (name of the file, its bytes).
struct StudyFiles {
  std::string text;
  std::string json;
  std::vector<std::pair<std::string, std::string>> tables = {};
};

/// What every study declares: its own options, and where its results go.
template <class Options>
class StudyCommand : public Command {
 public:
  void options(OptionList& list) final {
    list.group("Study");
    list.add(options_);
    list.group("Output");
    list.add(output_);
  }

 protected:
  Options options_;
  RunOutput output_;
};

/// Runs `study`, which returns StudyFiles, between making the run folder (where --out asks for one) and filling it, and
/// prints the summary.
void write_study(const Command& command, const Context& context, const RunOutput& output,
                 const std::function<StudyFiles()>& study);

}  // namespace clearway::cli
