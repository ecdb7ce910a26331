// clearway fit: a table in, a mixture of experts out.
#include <cmath>
#include <map>
#include <optional>

#include "../fit_in_chunks.hpp"
#include "../fitted_run.hpp"
#include "../model_json.hpp"
#include "../registry.hpp"
#include "../run_output.hpp"
#include "../summary_json.hpp"
#include "build_information.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/stat/constraints.hpp"
#include "clearway/stat/design.hpp"
#include "clearway/stat/formula.hpp"
#include "clearway/stat/inference.hpp"
#include "clearway/stat/profile.hpp"

namespace clearway::cli {

namespace {

struct InferenceExtras {
  std::string cluster;
  std::vector<std::string> profile;
  bool wald = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("cluster", self.cluster,
          OptionInfo{.help = "column that names the clusters, for --standard-errors cluster", .metavar = "COLUMN"});
    field("profile", self.profile,
          OptionInfo{.help = "parameters that get profile-likelihood intervals, named as in \"expert 1: x1\"",
                     .metavar = "NAME",
                     .off = "none"});
    field(
        "wald", self.wald,
        OptionInfo{.help = "Wald tests of every input (in the gate, in the experts, at all) and of equal coefficients",
                   .off = "false"});
  }
};

/// Equal numbers for equal cells of a column; -1 for a missing cell.
std::vector<int> cluster_codes(const Column& column) {
  if (column.is_text) return column.codes;
  std::map<double, int> seen;
  std::vector<int> codes;
  codes.reserve(column.numbers.size());
  for (const double value : column.numbers)
    codes.push_back(std::isnan(value) ? -1 : seen.try_emplace(value, static_cast<int>(seen.size())).first->second);
  return codes;
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
           "Every coefficient has its standard error, z value, p value and confidence interval; where the theory "
           "behind\n"
           "them does not hold (a separated gate, an expert at the noise floor, more experts than the data show), the\n"
           "numbers are withheld and the reason is given.\n"
           "\n"
           "With --method least-squares the model is a regression function: y is the gate's average of the experts\n"
           "plus noise, and no row belongs to an expert. The report then has residual sum of squares and R^2.\n"
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
    list.regroup("Gate", {"gate", "gate-temperature", "estimate-temperature", "top-k", "top-k-rule", "quadratic-shape",
                          "quadratic-rank", "quadratic-linear-term", "groups", "outer-gate", "inner-gate",
                          "gate-transform", "gate-units", "gate-activation", "cosine-perturbation", "gate-weights"});
    list.regroup("Search", {"method", "starts", "max-starts", "short-iterations", "polished", "start-rows",
                            "max-iterations", "tolerance", "acceleration", "newton", "sigma-floor", "keep-degenerate",
                            "gate-ridge", "separation-ridge", "trim"});
    list.group("Inference");
    list.add(inference_);
    list.add(extras_);
    list.group("Large tables");
    list.add(stream_);
    list.group("Table");
    list.add(csv_);
    list.group("Output");
    list.add(output_);
  }

  ExitCode run(Context& context) override {
    std::optional<NewRun> folder;
    if (!output_.out.empty()) folder.emplace(output_);
    if (stream_.stream) return run_in_chunks(context, folder);
    const auto progress = context.console.progress();
    progress(0.0, "reading");
    Table table = read_csv(path_, csv_);
    if (!extras_.cluster.empty()) columns_.exclude.push_back(extras_.cluster);  // no input unless a term names it
    formula_.apply(table, columns_);
    const std::vector<int> codes = clusters_of(table);
    const Design design = make_design(std::move(table), chosen_columns(), fit_.distinct_kinds(), fit_.gate.kind);
    for (const std::string& note : design.notes) context.console.note(note);
    progress(0.0, "starting");
    FitOptions options = fit_;
    options.constraints = constraints_of(constraints_, fit_, design);
    FitResult result = clearway::fit(design.data, options, nullptr, progress);
    result.warnings.insert(result.warnings.begin(), design.warnings.begin(), design.warnings.end());
    name_trimmed_rows(design, result);
    progress(1.0, "standard errors");
    const Inference inference =
        infer(design.data, result, names_of(design), inference_, clusters_of_rows(design, codes), fit_.threads);
    std::vector<ProfileInterval> profiles;
    profiles.reserve(extras_.profile.size());
    for (const std::string& name : extras_.profile)
      profiles.push_back(
          profile_interval(design.data, result, names_of(design), inference, name, inference_.level, fit_.threads));
    report(context, design, result, allocation(result.model, design.data), inference, profiles, folder);
    return ending(context, result);
  }

 private:
  ExitCode run_in_chunks(Context& context, std::optional<NewRun>& folder) {
    if (!extras_.profile.empty() || !extras_.cluster.empty() ||
        inference_.standard_errors == StandardErrorKind::cluster)
      user_error("stream keeps no rows: --profile and standard errors by cluster do not go with it");
    const ChunkedFit found =
        fit_in_chunks({path_, csv_, formula_, columns_, fit_, stream_, inference_,
                       [this](const Design& design) { return constraints_of(constraints_, fit_, design); }},
                      context.console.progress());
    report(context, found.design, found.result, found.allocation, found.inference, {}, folder);
    return ending(context, found.result);
  }

  static ExitCode ending(Context& context, const FitResult& result) {
    if (result.converged) return ExitCode::success;
    context.console.warn(fmt::format("not converged: {}", enum_name(result.reason)));
    return ExitCode::not_converged;
  }

  /// Which rows of the table --trim left out, as the last warning.
  static void name_trimmed_rows(const Design& design, FitResult& result) {
    if (result.trimmed_rows.empty()) return;
    const std::vector<std::size_t> kept = design.kept_rows();
    std::vector<std::string> words;
    words.reserve(result.trimmed_rows.size());
    for (const Eigen::Index row : result.trimmed_rows)
      words.push_back(fmt::format("{}", kept[static_cast<std::size_t>(row)] + 1));
    result.warnings.push_back(fmt::format("Rows left out: {}.", short_list(words, 100)));
  }

  /// The clusters of the rows of the table; empty without --cluster.
  std::vector<int> clusters_of(const Table& table) const {
    const bool asked = inference_.standard_errors == StandardErrorKind::cluster;
    if (asked && extras_.cluster.empty()) user_error("standard-errors 'cluster' needs --cluster COLUMN");
    if (!asked && !extras_.cluster.empty())
      user_error("--cluster is for --standard-errors cluster, not {}", enum_name(inference_.standard_errors));
    if (!asked) return {};
    const Column& column = table.column(extras_.cluster);
    if (!column.missing.empty())
      user_error("{}: the cluster of this row is missing", table.place(column.missing.front(), column));
    return cluster_codes(column);
  }

  static std::vector<int> clusters_of_rows(const Design& design, const std::vector<int>& codes) {
    std::vector<int> clusters;
    if (!codes.empty())
      for (const std::size_t row : design.kept_rows()) clusters.push_back(codes[row]);
    return clusters;
  }

  /// The user's columns; the one that names clusters is no input unless it is asked for by name.
  ColumnChoice chosen_columns() const {
    ColumnChoice columns = columns_;
    if (!extras_.cluster.empty()) columns.exclude.push_back(extras_.cluster);
    return columns;
  }

  void report(Context& context, const Design& design, const FitResult& result, const Allocation& counts,
              const Inference& inference, const std::vector<ProfileInterval>& profiles,
              std::optional<NewRun>& folder) const {
    const ModelNames names = names_of(design);
    const bool errors = inference.kind != StandardErrorKind::none;
    const SummaryOptions layout{.digits = context.table_digits(),
                                .allocation = &counts,
                                .inference = errors ? &inference : nullptr,
                                .notes = &design.notes};
    Json summary = {{"clearway", std::string(kVersion)}, {"command", "fit"}, {"data", path_}, {"seed", fit_.seed}};
    summary.update(summary_json(result, names, counts));
    summary["inference"] = inference_json(inference);
    if (!profiles.empty()) summary["profile"] = profile_json(profiles);
    summary["notes"] = design.notes;
    summary["dropped_rows"] = design.dropped.size();
    summary["trimmed_rows"] = Json::array();
    for (const Eigen::Index row : result.trimmed_rows)
      summary["trimmed_rows"].push_back(design.kept_rows()[static_cast<std::size_t>(row)] + 1);
    std::string text = full_summary(result, names, layout) + profile_text(profiles, layout.digits, layout.width);
    if (extras_.wald) {
      const std::vector<WaldTest> tests = wald_table(inference, names);
      summary["wald"] = wald_json(tests);
      text += "\nWald tests\n" + wald_text(tests, layout.width);
    }
    if (folder) {
      const RunFolder& run = folder->keep();
      run.write_json("config.json", run_config(name(), context.options));
      run.write_json("model.json", model_to_json(result.model, design.recipe, saved_inference(inference)));
      run.write("summary.txt", text);
      run.write_json("summary.json", summary);
      run.write("history.jsonl", history_lines(result));
    }
    print_result(context, text, summary);
  }

  std::string path_;
  ColumnChoice columns_;
  FitOptions fit_;
  FormulaOption formula_;
  ConstraintChoice constraints_;
  StreamOptions stream_;
  InferenceOptions inference_;
  InferenceExtras extras_;
  CsvOptions csv_;
  RunOutput output_;
};

}  // namespace

std::unique_ptr<Command> make_fit_command() {
  return std::make_unique<FitCommand>();
}

}  // namespace clearway::cli
