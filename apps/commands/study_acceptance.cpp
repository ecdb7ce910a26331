// clearway study acceptance: the table of figures that spectral method and EM must reach.
#include "clearway/stat/study_acceptance.hpp"
#include "../registry.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

class StudyAcceptanceCommand final : public StudyCommand<AcceptanceOptions> {
 public:
  std::string_view name() const override { return "study acceptance"; }
  std::string_view summary() const override { return "the acceptance table of the spectral method and of EM"; }
  std::string_view examples() const override { return "clearway study acceptance --checks 3,4,7 --out acceptance/\n"; }
  std::string_view description() const override {
    return "The table of figures that the spectral method, EM for the gate and joint EM must reach, rows in which a "
           "rival must fail included. The exit code is 3 when a row is not met.\n\n"
           "The run folder holds config.json, summary.txt, summary.json, acceptance.csv and acceptance.md. Results do "
           "not depend on the number of threads.";
  }

  ExitCode run(Context& context) override {
    bool all_met = true;
    write_study(*this, context, output_, [&]() -> StudyFiles {
      const AcceptanceTable table = run_acceptance(options_, context.console.progress());
      all_met = table.all_met();
      return {acceptance_text(table),
              acceptance_json(table),
              {{"acceptance.csv", acceptance_csv(table)}, {"acceptance.md", acceptance_markdown(table)}}};
    });
    if (all_met) return ExitCode::success;
    context.console.warn("some rows of the table are not met");
    return ExitCode::not_converged;
  }
};

}  // namespace

std::unique_ptr<Command> make_study_acceptance_command() {
  return std::make_unique<StudyAcceptanceCommand>();
}

}  // namespace clearway::cli
