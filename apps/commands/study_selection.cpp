// clearway study selection: how often each criterion chooses the right number of experts.
#include "clearway/stat/study_selection.hpp"

#include "../registry.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

class StudySelectionCommand final : public StudyCommand<SelectionStudyOptions> {
 public:
  std::string_view name() const override { return "study selection"; }
  std::string_view summary() const override { return "how often each criterion finds the right number of experts"; }
  std::string_view examples() const override {
    return "clearway study selection --trials 100 --out selection/\n"
           "clearway study selection --scenario rare --rows 2000 --largest 5\n";
  }
  std::string_view description() const override {
    return "Draws a problem of known truth many times, fits every number of experts as clearway select does, and "
           "counts "
           "what AIC, AICc, BIC, SABIC, ICL and the dendrogram of mixing measures (with both of its weights) choose. "
           "The "
           "exit code is 3 when BIC or the dendrogram is right less often than required.\n\n"
           "The run folder holds config.json, summary.txt, summary.json, selection.csv and selection.md. Results do "
           "not "
           "depend on the number of threads.";
  }

  ExitCode run(Context& context) override {
    bool all_met = true;
    write_study(*this, context, output_, [&]() -> StudyFiles {
      const SelectionStudy study = run_selection_study(options_, context.console.progress());
      all_met = study.all_met();
      return {selection_study_text(study),
              selection_study_json(study),
              {{"selection.csv", selection_study_csv(study)}, {"selection.md", selection_study_markdown(study)}}};
    });
    if (all_met) return ExitCode::success;
    context.console.warn("a criterion is right less often than required");
    return ExitCode::not_converged;
  }
};

}  // namespace

std::unique_ptr<Command> make_study_selection_command() {
  return std::make_unique<StudySelectionCommand>();
}

}  // namespace clearway::cli
