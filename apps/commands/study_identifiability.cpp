// clearway study identifiability: can the parameters of an expert function be learned at the fast rates?
#include "clearway/stat/study_identifiability.hpp"
#include "../registry.hpp"
#include "study.hpp"

namespace clearway::cli {

namespace {

class StudyIdentifiabilityCommand final : public StudyCommand<IdentifiabilityOptions> {
 public:
  std::string_view name() const override { return "study identifiability"; }
  std::string_view summary() const override { return "whether an expert function is strongly identifiable"; }
  std::string_view examples() const override {
    return "clearway study identifiability --expert tanh --gate softmax\n"
           "clearway study identifiability --expression \"sin(a*x + b)\"\n"
           "clearway study identifiability --gate sigmoid --form weak --out identifiability/\n";
  }
  std::string_view description() const override {
    return "Rates of convergence hang on whether an expert function, its derivatives in the parameters and their "
           "products "
           "with the inputs are linearly independent. They are evaluated with 50 digits at random inputs for several "
           "sets "
           "of distinct parameters; the table gives the smallest singular value, the verdict, the combinations that "
           "vanish, and what the papers say.\n\n"
           "In a formula, x or x1, x2, ... are inputs and every other name is a parameter; functions: exp log sqrt sin "
           "cos "
           "tanh sigmoid softplus relu gelu Phi.\n\n"
           "The run folder holds config.json, summary.txt, summary.json, identifiability.csv and identifiability.md. "
           "Results do not depend on the number of threads.";
  }

  ExitCode run(Context& context) override {
    if (!options_.expression.empty() && context.options.given("expert"))
      user_error("--expert and --expression exclude each other");
    write_study(*this, context, output_, [&]() -> StudyFiles {
      const IdentifiabilityStudy study = run_identifiability_study(options_, context.console.progress());
      return {study_text(study),
              study_json(study),
              {{"identifiability.csv", study_csv(study)}, {"identifiability.md", study_markdown(study)}}};
    });
    return ExitCode::success;
  }
};

}  // namespace

std::unique_ptr<Command> make_study_identifiability_command() {
  return std::make_unique<StudyIdentifiabilityCommand>();
}

}  // namespace clearway::cli
