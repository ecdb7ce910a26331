// clearway fit: a table in, a mixture of experts out.
#include <filesystem>
#include <optional>

#include "../model_json.hpp"
#include "../registry.hpp"
#include "../summary_json.hpp"
#include "build_information.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/stat/design.hpp"

namespace clearway::cli {

namespace {

struct FitOutput {
  std::string out;
  bool force = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "run folder to write; without it nothing is kept", .metavar = "DIR"});
    field("force", self.force, OptionInfo{.help = "replace the run that the folder holds"});
  }
};

/// A run folder that disappears again when the fit fails before anything was written to it.
class NewRun {
 public:
  NewRun(const std::string& path, bool force) : folder_(RunFolder::create(path, force)) {}
  ~NewRun() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove(folder_.path(), ignored);  // removes an empty folder only
  }
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

ModelNames names_of(const Design& design) {
  ModelNames names;
  names.responses = design.recipe.target;
  if (design.recipe.expert == ExpertKind::multinomial) names.classes = design.response_names;
  names.expert_inputs = design.expert_names;
  names.gate_inputs = design.gate_names;
  return names;
}

class FitCommand final : public Command {
 public:
  std::string_view name() const override { return "fit"; }
  std::string_view summary() const override { return "fit a mixture of experts to a table"; }
  std::string_view examples() const override {
    return "clearway fit data.csv --target y --experts 3 --out run/\n"
           "clearway fit data.csv --target y --experts-on x1,x2 --gate-on x3 --json\n"
           "clearway fit visits.csv --target visits --expert poisson --experts 2\n";
  }
  std::string_view description() const override {
    return "Reads a table (CSV), learns a gate that weighs the experts and the experts that answer, and prints the\n"
           "model as a table: shares, coefficients, noise, gate, log-likelihood, AIC, BIC, ICL, and why it stopped.\n"
           "Experts are numbered by decreasing share. Several starts compete; the report says which one won and how\n"
           "many agreed.\n"
           "\n"
           "With --out the run folder holds config.json (every option; --config reads it back), model.json,\n"
           "summary.txt, summary.json (what --json prints) and history.jsonl (one line per iteration).\n"
           "\n"
           "A fit that does not converge is written and printed all the same, and the exit code is 3.\n";
  }

  void options(OptionList& list) override {
    list.argument("data.csv", path_, "the table; - reads standard input");
    list.group("Columns");
    list.add(columns_);
    list.group("Model");
    list.add(fit_);
    list.regroup("Gate", {"gate", "gate-temperature", "estimate-temperature", "top-k", "top-k-rule", "quadratic-shape",
                          "quadratic-rank", "quadratic-linear-term", "groups", "outer-gate", "inner-gate",
                          "gate-transform", "gate-units", "gate-activation", "cosine-perturbation", "gate-weights"});
    list.regroup("Search", {"method", "starts", "max-starts", "short-iterations", "polished", "start-rows",
                            "max-iterations", "tolerance", "acceleration", "newton", "sigma-floor", "keep-degenerate",
                            "gate-ridge", "separation-ridge"});
    list.group("Table");
    list.add(csv_);
    list.group("Output");
    list.add(output_);
  }

  ExitCode run(Context& context) override {
    std::optional<NewRun> folder;
    if (!output_.out.empty()) folder.emplace(output_.out, output_.force);
    const auto progress = context.console.progress();
    progress(0.0, "reading");
    const Design design = make_design(read_csv(path_, csv_), columns_, fit_.expert.kind, fit_.gate.kind);
    for (const std::string& note : design.notes) context.console.note(note);
    progress(0.0, "starting");
    FitResult result = clearway::fit(design.data, fit_, nullptr, progress);
    result.warnings.insert(result.warnings.begin(), design.warnings.begin(), design.warnings.end());
    report(context, design, result, folder);
    if (result.converged) return ExitCode::success;
    context.console.warn(fmt::format("not converged: {}", enum_name(result.reason)));
    return ExitCode::not_converged;
  }

 private:
  void report(Context& context, const Design& design, const FitResult& result, std::optional<NewRun>& folder) const {
    const ModelNames names = names_of(design);
    const Allocation counts = allocation(result.model, design.data);
    const SummaryOptions layout{.digits = context.table_digits(), .allocation = &counts, .notes = &design.notes};
    Json summary = {{"clearway", std::string(kVersion)}, {"command", "fit"}, {"data", path_}, {"seed", fit_.seed}};
    summary.update(summary_json(result, names, counts));
    summary["notes"] = design.notes;
    summary["dropped_rows"] = design.dropped.size();
    const std::string text = full_summary(result, names, layout);
    if (folder) {
      const RunFolder& run = folder->keep();
      run.write_json("config.json", run_config(context.options));
      run.write_json("model.json", model_to_json(result.model, design.recipe));
      run.write("summary.txt", text);
      run.write_json("summary.json", summary);
      run.write("history.jsonl", history_lines(result));
    }
    if (context.common.json)
      context.console.print(json_text(summary));
    else if (!context.console.quiet())
      context.console.print(text);
  }

  /// Every option that shapes the result, under the keys that --config reads.
  static Json run_config(const OptionList& options) {
    Json config = {{"clearway", std::string(kVersion)}, {"command", "fit"}};
    config.update(options.json());
    for (const char* key : {"json", "quiet", "color", "config", "out", "force"}) config.erase(key);
    return config;
  }

  std::string path_;
  ColumnChoice columns_;
  FitOptions fit_;
  CsvOptions csv_;
  FitOutput output_;
};

}  // namespace

std::unique_ptr<Command> make_fit_command() {
  return std::make_unique<FitCommand>();
}

}  // namespace clearway::cli
