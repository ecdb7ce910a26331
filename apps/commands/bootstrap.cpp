// clearway bootstrap: how sure are the estimates of a fitted model?
#include "clearway/stat/bootstrap.hpp"

#include "../fitted_run.hpp"
#include "../interruptible.hpp"
#include "../registry.hpp"
#include "../run_output.hpp"

namespace clearway::cli {

namespace {

struct BootstrapFiles {
  std::string cluster;
  std::string predict;
  std::string predictions_out;
  MissingPolicy missing = MissingPolicy::error;
  std::string out;
  bool force = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("cluster", self.cluster,
          OptionInfo{.help = "column that names clusters of rows, drawn as a whole; kinds rows and weights",
                     .metavar = "COLUMN"});
    field("predict", self.predict,
          OptionInfo{.help = "table of rows whose predicted mean is bootstrapped too", .metavar = "FILE"});
    field("predictions-out", self.predictions_out,
          OptionInfo{.help = "CSV file for the predictions of --predict, their standard errors and intervals",
                     .metavar = "FILE"});
    field("missing", self.missing, OptionInfo{.help = "what to do with rows in which a cell is missing"});
    field("out", self.out,
          OptionInfo{.help = "CSV file for the replications; default: replications.csv in the run folder",
                     .metavar = "FILE"});
    field("force", self.force, OptionInfo{.help = "replace files that are there"});
  }
};

Column number_column(std::string name, std::vector<double> numbers) {
  Column column;
  column.name = std::move(name);
  column.numbers = std::move(numbers);
  for (std::size_t t = 0; t < column.numbers.size(); ++t)
    if (std::isnan(column.numbers[t])) column.missing.push_back(t);
  return column;
}

/// One row per replication that was done.
Table replication_table(const BootstrapResult& result) {
  Table table;
  std::vector<const BootstrapReplication*> done;
  std::vector<double> numbers;
  for (std::size_t i = 0; i < result.replications.size(); ++i)
    if (result.replications[i].done) {
      done.push_back(&result.replications[i]);
      numbers.push_back(static_cast<double>(i + 1));
    }
  table.rows = done.size();
  table.columns.push_back(number_column("replication", numbers));
  const auto add = [&](std::string name, auto value) {
    std::vector<double> cells;
    cells.reserve(done.size());
    for (const BootstrapReplication* replication : done) cells.push_back(static_cast<double>(value(*replication)));
    table.columns.push_back(number_column(std::move(name), std::move(cells)));
  };
  add("used", [](const BootstrapReplication& r) { return r.used(); });
  add("converged", [](const BootstrapReplication& r) { return r.converged; });
  add("degenerate", [](const BootstrapReplication& r) { return r.degenerate; });
  add("separated", [](const BootstrapReplication& r) { return r.separated; });
  add("ambiguous", [](const BootstrapReplication& r) { return r.ambiguous; });
  add("agreement", [](const BootstrapReplication& r) { return r.agreement; });
  add("log_likelihood", [](const BootstrapReplication& r) { return r.log_likelihood; });
  for (std::size_t i = 0; i < result.names.size(); ++i)
    add(fmt::format("{}: {}", result.names[i].part, result.names[i].name), [&](const BootstrapReplication& r) {
      return r.values.size() > 0 ? r.values(static_cast<Eigen::Index>(i)) : std::nan("");
    });
  return table;
}

/// One row per new row: mean, standard error, interval (per response).
Table prediction_intervals(const BootstrapResult& result, const Design& rows) {
  Table table;
  table.rows = rows.table_rows;
  const std::vector<std::size_t> kept = rows.kept_rows();
  const auto n = static_cast<std::size_t>(rows.data.expert_inputs.rows());
  for (Eigen::Index j = 0; j < result.prediction_columns; ++j) {
    const std::string suffix =
        result.prediction_columns == 1 ? std::string() : "_" + rows.response_names[static_cast<std::size_t>(j)];
    const auto add = [&](const std::string& name, auto value) {
      std::vector<double> cells(table.rows, std::nan(""));
      for (std::size_t t = 0; t < n; ++t)
        cells[kept[t]] = value(result.predictions[static_cast<std::size_t>(j) * n + t]);
      table.columns.push_back(number_column(name + suffix, std::move(cells)));
    };
    add("mean", [](const BootstrapEstimate& e) { return e.estimate; });
    add("standard_error", [](const BootstrapEstimate& e) { return e.standard_error; });
    add("low", [](const BootstrapEstimate& e) { return e.interval.low; });
    add("high", [](const BootstrapEstimate& e) { return e.interval.high; });
  }
  return table;
}

Json estimate_json(const BootstrapEstimate& estimate) {
  return Json{{"estimate", json_number_or_null(estimate.estimate)},
              {"standard_error", json_number_or_null(estimate.standard_error)},
              {"wald_error", json_number_or_null(estimate.wald_error)},
              {"bias", json_number_or_null(estimate.bias)},
              {"low", json_number_or_null(estimate.interval.low)},
              {"high", json_number_or_null(estimate.interval.high)},
              {"fixed", estimate.fixed}};
}

Json result_json(const BootstrapResult& result) {
  const auto count = [&](auto which) { return result.count(which); };
  Json json = {{"command", "bootstrap"},
               {"options", options_to_json(result.options)},
               {"rows", result.rows},
               {"clusters", result.clusters > 0 ? Json(result.clusters) : Json(nullptr)},
               {"done", count([](const BootstrapReplication& r) { return r.done; })},
               {"used", count([](const BootstrapReplication& r) { return r.used(); })},
               {"failed", count([](const BootstrapReplication& r) { return !r.failure.empty(); })},
               {"degenerate", count([](const BootstrapReplication& r) { return r.degenerate; })},
               {"not_converged", count([](const BootstrapReplication& r) { return r.used() && !r.converged; })},
               {"separated", count([](const BootstrapReplication& r) { return r.used() && r.separated; })},
               {"ambiguous", count([](const BootstrapReplication& r) { return r.used() && r.ambiguous; })},
               {"from_original", count([](const BootstrapReplication& r) { return r.used() && r.from_original; })}};
  Json values = Json::array();
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    Json value = {{"part", result.names[i].part}, {"name", result.names[i].name}};
    value.update(estimate_json(result.values[i]));
    values.push_back(std::move(value));
  }
  json["values"] = std::move(values);
  Json predictions = Json::array();
  for (const BootstrapEstimate& estimate : result.predictions) predictions.push_back(estimate_json(estimate));
  json["predictions"] = std::move(predictions);
  json["warnings"] = result.warnings;
  return json;
}

class BootstrapCommand final : public Command {
 public:
  std::string_view name() const override { return "bootstrap"; }
  std::string_view summary() const override { return "standard errors and intervals of a fitted model by resampling"; }
  std::string_view examples() const override {
    return "clearway bootstrap run/ data.csv --replications 500\n"
           "clearway bootstrap run/ data.csv --kind parametric --interval bca --level 0.9\n"
           "clearway bootstrap run/ data.csv --kind weights --cluster patient\n"
           "clearway bootstrap run/ data.csv --predict new.csv --predictions-out bands.csv\n";
  }
  std::string_view description() const override {
    return "Draws data sets like the given one, fits the model to each (from the original model and from starts of its "
           "own), matches the experts by the memberships of the original rows, and prints for every estimate the "
           "standard deviation over the replications, its bias and an interval, beside the standard error from the "
           "observed information (Wald).\n\n"
           "data.csv must be the table that the run was fitted to. The replications are written to replications.csv in "
           "the run folder: replication, used, converged, degenerate, separated, ambiguous, agreement, log_likelihood, "
           "then one column per estimate. A replication that fails is counted, not hidden; one with an expert at the "
           "noise floor is left out. Ctrl-C stops at the next replication: what is done is printed and written, and "
           "the "
           "exit code is 130. The exit code is 3 when fewer than two replications could be used.\n";
  }

  void options(OptionList& list) override {
    list.argument("run", run_, "run folder of clearway fit, or a model.json");
    list.argument("data.csv", path_, "the table that it was fitted to; - reads standard input");
    list.group("Bootstrap");
    list.add(options_);
    list.group("Data and files");
    list.add(files_);
    list.group("Table");
    list.add(csv_);
  }

  ExitCode run(Context& context) override {
    const FittedRun run = load_fitted_run(run_);
    const std::string out = !files_.out.empty() ? files_.out
                            : run.folder        ? run.folder->file("replications.csv")
                                                : std::string();
    refuse_present(out, files_.force);
    refuse_present(files_.predictions_out, files_.force);
    if (!files_.predictions_out.empty() && files_.predict.empty())
      user_error("predictions-out needs --predict FILE: rows to predict");
    Table table = read_csv(path_, csv_);
    const Table clusters = files_.cluster.empty() ? Table() : table;
    const Design design = design_with_response(run.saved.recipe, std::move(table), files_.missing, "a bootstrap");
    for (const std::string& note : design.notes) context.console.note(note);
    BootstrapExtras extras;
    if (!files_.cluster.empty()) extras.clusters = category_numbers(clusters, files_.cluster, design.kept_rows());
    Design new_rows;
    if (!files_.predict.empty()) {
      new_rows = apply_recipe(run.saved.recipe, read_csv(files_.predict, csv_), files_.missing);
      extras.new_rows = &new_rows.data;
    }
    extras.stop = stop_after_interrupt(context.console);
    extras.progress = quiet_progress(context.console);
    FitOptions fitted_with = run.options;
    const BootstrapResult result =
        clearway::bootstrap(design.data, run.saved.model, fitted_with, options_, names_of(design), extras);
    extras.progress = {};

    if (!out.empty())
      write_csv(out, replication_table(result), CsvWriteOptions{.significant_digits = context.csv_digits()});
    if (!files_.predictions_out.empty())
      write_csv(files_.predictions_out, prediction_intervals(result, new_rows),
                CsvWriteOptions{.significant_digits = context.csv_digits()});
    print_result(context, bootstrap_text(result, context.table_digits()), result_json(result));
    if (result.stopped_early()) return ExitCode::interrupted;
    return result.count([](const BootstrapReplication& r) { return r.used(); }) >= 2 ? ExitCode::success
                                                                                     : ExitCode::not_converged;
  }

 private:
  std::string run_;
  std::string path_;
  BootstrapOptions options_;
  BootstrapFiles files_;
  CsvOptions csv_;
};

}  // namespace

std::unique_ptr<Command> make_bootstrap_command() {
  return std::make_unique<BootstrapCommand>();
}

}  // namespace clearway::cli
