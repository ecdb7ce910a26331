// clearway study: reproduce a comparison and say what is seen, also where it does not favour the method.
#include <filesystem>
#include <optional>

#include "../registry.hpp"
#include "build_information.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/stat/study_acceptance.hpp"
#include "clearway/stat/study_gridlock.hpp"

namespace clearway::cli {

namespace {

struct StudyOutput {
  std::string out;
  bool force = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "run folder to write; without it nothing is kept", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the run that the folder holds"});
  }
};

/// What a study leaves: a summary to read, one to parse, and tables.
struct StudyFiles {
  std::string text;
  std::string json;
  std::vector<std::pair<std::string, std::string>> tables;
};

class StudyCommand final : public Command {
 public:
  std::string_view name() const override { return "study"; }
  std::string_view summary() const override { return "reproduce a study of estimators on problems with known truth"; }
  std::string_view examples() const override {
    return "clearway study gridlock --experts 3,4 --trials 50 --out study/\n"
           "clearway study gridlock --g linear,tanh,sigmoid,relu --rows 20000 --limits=false\n"
           "clearway study acceptance --checks 3,4,7 --out acceptance/\n";
  }
  std::string_view description() const override {
    return "gridlock: parameter error against iterations of the spectral start followed by EM and of EM from random "
           "starts, the share of climbs that end in a local optimum, for every g and number of experts; then the "
           "situations in which the spectral start does not help.\n\n"
           "acceptance: the table of figures that the spectral method, EM for the gate and joint EM must reach, rows "
           "in which a rival must fail included. The exit code is 3 when a row is not met.\n\n"
           "The run folder holds config.json, summary.txt, summary.json and the tables as CSV (gridlock: trials.csv, "
           "trace.csv; acceptance: acceptance.csv, acceptance.md). Results do not depend on the number of threads.";
  }

  void options(OptionList& list) override {
    list.argument("study", study_, "which study",
                  {{"gridlock", "spectral start against EM from random starts"},
                   {"acceptance", "the acceptance table of the spectral method and of EM"}});
    list.group("Study gridlock");
    list.add(gridlock_);
    list.group("Study acceptance");
    list.add(acceptance_);
    list.group("Output");
    list.add(output_);
  }

  ExitCode run(Context& context) override {
    std::optional<RunFolder> folder;
    if (!output_.out.empty()) folder = RunFolder::create(output_.out, output_.force);
    bool all_met = true;
    StudyFiles files;
    if (study_ == "gridlock") {
      const GridlockStudy study = run_gridlock_study(gridlock_, context.console.progress());
      files = {study_text(study),
               study_json(study),
               {{"trials.csv", study_trials_csv(study)}, {"trace.csv", study_trace_csv(study)}}};
    } else {
      const AcceptanceTable table = run_acceptance(acceptance_, context.console.progress());
      all_met = table.all_met();
      files = {acceptance_text(table),
               acceptance_json(table),
               {{"acceptance.csv", acceptance_csv(table)}, {"acceptance.md", acceptance_markdown(table)}}};
    }
    if (folder) write(*folder, context, files);
    context.console.print(context.common.json ? files.json : files.text);
    if (all_met) return ExitCode::success;
    context.console.warn("some rows of the table are not met");
    return ExitCode::not_converged;
  }

 private:
  static void write(const RunFolder& folder, const Context& context, const StudyFiles& files) {
    Json config = {{"clearway", std::string(kVersion)}, {"command", "study"}};
    config.update(context.options.json());
    for (const char* key : {"json", "quiet", "color", "config", "out", "force"}) config.erase(key);
    folder.write_json("config.json", config);
    folder.write("summary.txt", files.text);
    folder.write("summary.json", files.json);
    for (const auto& [name, text] : files.tables)
      write_file((std::filesystem::path(folder.path()) / name).string(), text);
  }

  std::string study_;
  GridlockStudyOptions gridlock_;
  AcceptanceOptions acceptance_;
  StudyOutput output_;
};

}  // namespace

std::unique_ptr<Command> make_study_command() {
  return std::make_unique<StudyCommand>();
}

}  // namespace clearway::cli
