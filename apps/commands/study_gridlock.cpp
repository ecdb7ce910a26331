// clearway study gridlock: spectral start and EM against EM from random starts, also where it does not favour the method.
#include "clearway/stat/study_gridlock.hpp"
#include "../registry.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

class StudyGridlockCommand final : public StudyCommand<GridlockStudyOptions> {
 public:
  std::string_view name() const override { return "study gridlock"; }
  std::string_view summary() const override { return "spectral start and EM against EM from random starts"; }
  std::string_view examples() const override {
    return "clearway study gridlock --experts 3,4 --trials 50 --out study/\n"
           "clearway study gridlock --g linear,tanh,sigmoid,relu --rows 20000 --limits=false\n";
  }
  std::string_view description() const override {
    return "Parameter error against iterations of the spectral start followed by EM and of EM from random starts, the "
           "share of climbs that end in a local optimum, for every g and number of experts; then the situations in "
           "which the spectral start does not help.\n\n"
           "The run folder holds config.json, summary.txt, summary.json, trials.csv and trace.csv. Results do not "
           "depend on the number of threads.";
  }

  ExitCode run(Context& context) override {
    write_study(*this, context, output_, [&]() -> StudyFiles {
      const GridlockStudy study = run_gridlock_study(options_, context.console.progress());
      return {study_text(study),
              study_json(study),
              {{"trials.csv", study_trials_csv(study)}, {"trace.csv", study_trace_csv(study)}}};
    });
    return ExitCode::success;
  }
};

}  // namespace

std::unique_ptr<Command> make_study_gridlock_command() {
  return std::make_unique<StudyGridlockCommand>();
}

}  // namespace clearway::cli
