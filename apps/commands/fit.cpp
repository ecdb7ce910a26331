// clearway fit: a table in, a mixture of experts out.
#include <filesystem>
#include <optional>

#include "../model_json.hpp"
#include "../registry.hpp"
#include "../summary_json.hpp"
#include "build_information.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/stat/constraints.hpp"
#include "clearway/stat/design.hpp"
#include "clearway/stat/formula.hpp"
#include "clearway/stat/streaming.hpp"

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
    list.add(formula_);
    list.add(columns_);
    list.group("Model");
    list.add(fit_);
    list.add(constraints_);
    list.regroup("Search", {"method", "starts", "max-starts", "short-iterations", "polished", "start-rows",
                            "max-iterations", "tolerance", "acceleration", "newton", "sigma-floor", "keep-degenerate",
                            "gate-ridge", "separation-ridge"});
    list.group("Large tables");
    list.add(stream_);
    list.group("Table");
    list.add(csv_);
    list.group("Output");
    list.add(output_);
  }

  ExitCode run(Context& context) override {
    std::optional<NewRun> folder;
    if (!output_.out.empty()) folder.emplace(output_.out, output_.force);
    if (stream_.stream) return run_stream(context, folder);
    const auto progress = context.console.progress();
    progress(0.0, "reading");
    Table table = read_csv(path_, csv_);
    formula_.apply(table, columns_);
    const Design design = make_design(std::move(table), columns_, fit_.expert.kind, fit_.gate.kind);
    for (const std::string& note : design.notes) context.console.note(note);
    progress(0.0, "starting");
    FitOptions options = fit_;
    options.constraints = constraints_of(design);
    FitResult result = clearway::fit(design.data, options, nullptr, progress);
    result.warnings.insert(result.warnings.begin(), design.warnings.begin(), design.warnings.end());
    return report(context, design, result, allocation(result.model, design.data), folder);
  }

 private:
  /// Reads the table chunk by chunk, once to begin with and once for every pass.
  ExitCode run_stream(Context& context, std::optional<NewRun>& folder) {
    if (path_ == "-")
      user_error("stream reads the table several times, which standard input does not allow; name a file");
    const auto progress = context.console.progress();
    const auto rows = static_cast<std::size_t>(stream_.chunk_rows);
    Design design;  // of the first chunk; then without data
    std::optional<StreamingFit> fitting;
    std::size_t all_rows = 0, dropped = 0;
    read_csv_in_chunks(path_, csv_, rows, [&](Table table) {
      const std::size_t count = table.rows;
      if (!fitting) {
        formula_.apply(table, columns_);
        design = make_design(std::move(table), columns_, fit_.expert.kind, fit_.gate.kind);
        FitOptions options = fit_;
        options.constraints = constraints_of(design);
        fitting.emplace(design.data, options, stream_, progress);
        dropped = design.dropped.size();
        design.data = Data();
      } else {
        const Data data = next_chunk(design.recipe, std::move(table), dropped);
        if (data.rows() > 0) fitting->online(data);
      }
      all_rows += count;
      progress(0.2, fmt::format("{} rows", all_rows));
      return true;
    });
    for (int pass = 1; fitting->wants_pass(); ++pass) {
      fitting->begin_pass();
      std::size_t done = 0, ignored = 0;
      read_csv_in_chunks(path_, csv_, rows, [&](Table table) {
        done += table.rows;
        const Data data = next_chunk(design.recipe, std::move(table), ignored);
        if (data.rows() > 0) fitting->add(data);
        progress(static_cast<double>(done) / static_cast<double>(all_rows), fmt::format("pass {}", pass));
        return true;
      });
      if (done != all_rows) world_error("{}: changed while it was read", path_);
      fitting->end_pass();
    }
    design.notes = {fmt::format("Read in chunks of {} rows; the first one found the starting values.", rows)};
    if (dropped > 0) design.notes.push_back(fmt::format("{} with missing cells left out.", plural(dropped, "row")));
    FitResult result = fitting->result();
    result.warnings.insert(result.warnings.begin(), design.warnings.begin(), design.warnings.end());
    return report(context, design, result, fitting->allocation(), folder);
  }

  /// A later chunk as data; rows without a response are missing cells like any other.
  Data next_chunk(const DesignRecipe& recipe, Table table, std::size_t& dropped) const {
    const std::vector<std::size_t> lines = table.first_line;
    Design chunk = apply_recipe(recipe, std::move(table), columns_.missing);
    const std::vector<std::size_t> kept = chunk.kept_rows();
    dropped += chunk.dropped.size();
    std::vector<Eigen::Index> complete;
    for (Eigen::Index t = 0; t < chunk.data.rows(); ++t) {
      if (chunk.data.response.row(t).allFinite())
        complete.push_back(t);
      else if (columns_.missing == MissingPolicy::error)
        user_error("{}: line {}: the response is missing; leave such rows out with --missing drop", path_,
                   lines[kept[static_cast<std::size_t>(t)]]);
    }
    dropped += static_cast<std::size_t>(chunk.data.rows()) - complete.size();
    return complete.size() == static_cast<std::size_t>(chunk.data.rows()) ? std::move(chunk.data)
                                                                          : chunk.data.subset(complete);
  }

  ExitCode report(Context& context, const Design& design, const FitResult& result, const Allocation& counts,
                  std::optional<NewRun>& folder) const {
    write(context, design, result, counts, folder);
    if (result.converged) return ExitCode::success;
    context.console.warn(fmt::format("not converged: {}", enum_name(result.reason)));
    return ExitCode::not_converged;
  }

  void write(Context& context, const Design& design, const FitResult& result, const Allocation& counts,
             std::optional<NewRun>& folder) const {
    const ModelNames names = names_of(design);
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

  Constraints constraints_of(const Design& design) const {
    const ModelNames names = names_of(design);
    return find_constraints(constraints_,
                            Gate(fit_.gate, static_cast<int>(design.data.gate_inputs.cols()), fit_.experts),
                            Expert(fit_.expert, static_cast<int>(design.data.expert_inputs.cols()),
                                   static_cast<int>(design.data.response.cols()), design.data.classes),
                            names.gate_inputs, names.expert_inputs, design.response_names);
  }

  std::string path_;
  FormulaOption formula_;
  ColumnChoice columns_;
  FitOptions fit_;
  ConstraintChoice constraints_;
  StreamOptions stream_;
  CsvOptions csv_;
  FitOutput output_;
};

}  // namespace

std::unique_ptr<Command> make_fit_command() {
  return std::make_unique<FitCommand>();
}

}  // namespace clearway::cli
