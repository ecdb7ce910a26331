// clearway simulate: draw a problem with known truth.
#include "clearway/stat/simulate.hpp"

#include <algorithm>
#include <filesystem>

#include "../model_json.hpp"
#include "../registry.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/stat/scenario.hpp"
#include "clearway/stat/truth.hpp"

namespace clearway::cli {

namespace {

struct SimulateFiles {
  std::string out = "-";
  std::string truth;
  bool with_labels = false;
  std::string model;
  std::string data;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "table to write; - is standard output", .metavar = "FILE"});
    field("truth", self.truth, OptionInfo{.help = "file for the true parameters", .metavar = "FILE", .off = "empty"});
    field(
        "with-labels", self.with_labels,
        OptionInfo{.help = "add a column z with the number of the true expert (0: outlier); never use it as an input"});
    field("model", self.model,
          OptionInfo{.help = "run folder of clearway fit (or a model.json) to draw from, in place of a scenario",
                     .metavar = "RUN"});
    field("data", self.data,
          OptionInfo{.help = "with --model: the table of inputs; a response is drawn for each of its rows",
                     .metavar = "FILE"});
  }
};

/// The response of every row as columns of a table: numbers, or words where the model knows classes by name.
std::vector<Column> response_columns(const DesignRecipe& recipe, const Matrix& response) {
  std::vector<Column> columns;
  for (std::size_t j = 0; j < recipe.target.size(); ++j) {
    Column column;
    column.name = recipe.target[j];
    column.is_text = !recipe.classes.empty();
    column.levels = recipe.classes;
    for (Eigen::Index t = 0; t < response.rows(); ++t) {
      const double value = response(t, static_cast<Eigen::Index>(j));
      if (column.is_text)
        column.codes.push_back(static_cast<int>(value));
      else
        column.numbers.push_back(value);
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

/// The table with its target columns, or the columns these are computed from, replaced by (or, where there are none,
/// preceded by) a draw from the model.
Table draw_from(const SavedModel& saved, Table table, std::int64_t seed, bool with_labels) {
  if (saved.model.has_noise)
    user_error("a model with a uniform noise component does not say where its outliers lie; it cannot be drawn from");
  const Design design = apply_recipe(saved.recipe, table);
  RandomStream stream(static_cast<std::uint64_t>(seed), 0);
  const Draw draw = simulate(saved.model, design.data, stream);
  if (!draw.response.allFinite())
    user_error("{}: the model has no distribution for some row (its link does not allow the linear predictor there)",
               table.source);
  std::vector<Column> columns = response_columns(saved.recipe, draw.response);
  // Successes and failures: what is left of the trials.
  const std::string pair = saved.recipe.target.front() + "+";
  if (saved.recipe.trials.starts_with(pair))
    for (Column& column : table.columns)
      if (column.name == saved.recipe.trials.substr(pair.size()))
        for (std::size_t t = 0; t < column.numbers.size(); ++t)
          column.numbers[t] = design.data.trials(static_cast<Eigen::Index>(t)) - columns.front().numbers[t];
  // The old response goes, and what a computed one was made of: it is not that of the draw.
  const std::vector<std::string> old = saved.recipe.response_columns();
  std::erase_if(table.columns, [&](const Column& column) {
    return std::find(old.begin(), old.end(), column.name) != old.end() ||
           std::any_of(columns.begin(), columns.end(), [&](const Column& drawn) { return drawn.name == column.name; });
  });
  for (Column& column : table.columns) columns.push_back(std::move(column));
  if (with_labels) {
    Column labels;
    labels.name = "z";
    for (const int label : draw.labels) labels.numbers.push_back(label + 1.0);
    columns.push_back(std::move(labels));
  }
  table.columns = std::move(columns);
  return table;
}

class SimulateCommand final : public Command {
 public:
  std::string_view name() const override { return "simulate"; }
  std::string_view summary() const override { return "draw a table from a mixture of experts with known truth"; }
  std::string_view examples() const override {
    return "clearway simulate --scenario gridlock --experts 3 --dim 10 --rows 10000 --noise 0.1 --out data.csv "
           "--truth truth.json\n"
           "clearway simulate --scenario rare --rows 2000 | clearway fit - --target y --experts 3\n"
           "clearway simulate --model run/ --data data.csv --seed 7 --out again.csv\n";
  }
  std::string_view description() const override {
    return "Columns of the table: y (y1, y2 ... for a vector response), trials for the scenario binom, then x1, x2 ... "
           "The same options give the same bytes on every machine.\n\n"
           "With --model and --data a response is drawn for every row of a table from a fitted model; the table "
           "comes\n"
           "back with it. Censored families give the response before censoring.\n\n"
           "The truth file is one JSON object: format, version, scenario (all options), seed, gate (kind, parameters), "
           "experts (kind, intercept, slopes, sigma, parameters), noise, sigma, shares. clearway compare reads it.";
  }

  void options(OptionList& list) override {
    list.group("Scenario");
    list.add(scenario_);
    list.group("Files");
    list.add(files_);
  }

  ExitCode run(Context& context) override {
    if (context.common.json && files_.out == "-")
      user_error("--json and the table would both go to standard output; give --out");
    if (files_.model.empty() != files_.data.empty()) user_error("model and data belong together: give both or none");
    if (!files_.model.empty()) return run_model(context);
    const Problem problem = make_problem(scenario_);
    write_table(problem, context.csv_digits());
    if (!files_.truth.empty()) write_file(files_.truth, truth_json(problem));
    if (context.common.json) {
      Json json;
      json["out"] = files_.out;
      json["truth"] = files_.truth.empty() ? Json(nullptr) : Json(files_.truth);
      json["rows"] = problem.data.rows();
      json["scenario"] = options_to_json(problem.options);
      context.console.print(json_text(json));
    } else if (files_.out != "-") {
      context.console.note(fmt::format("{}: {} rows, {} inputs, {} experts ({})", files_.out, problem.data.rows(),
                                       problem.options.dim, problem.options.experts,
                                       enum_name(problem.options.scenario)));
    }
    return ExitCode::success;
  }

 private:
  ExitCode run_model(Context& context) {
    if (!files_.truth.empty()) user_error("truth: the model of --model is in its run folder already");
    const Table table = draw_from(load_model(files_.model), read_csv(files_.data), scenario_.seed, files_.with_labels);
    write_csv(files_.out, table, CsvWriteOptions{.significant_digits = context.csv_digits()});
    if (context.common.json)
      context.console.print(json_text(Json{{"out", files_.out}, {"rows", table.rows}, {"model", files_.model}}));
    else if (files_.out != "-")
      context.console.note(fmt::format("{}: {} rows drawn from {}", files_.out, table.rows, files_.model));
    return ExitCode::success;
  }

  static SavedModel load_model(const std::string& run) {
    if (std::filesystem::is_regular_file(run)) return model_from_json(read_json(run), run);
    const RunFolder folder = RunFolder::open(run);
    return model_from_json(folder.read_json("model.json"), folder.file("model.json"));
  }

  void write_table(const Problem& problem, int digits) const {
    std::vector<double> labels;
    std::vector<NumberColumn> columns;
    const auto add = [&](std::string column, const double* values) {
      columns.push_back({std::move(column), {values, static_cast<std::size_t>(problem.data.rows())}});
    };
    const Data& data = problem.data;
    for (Eigen::Index j = 0; j < data.response.cols(); ++j)
      add(data.response.cols() == 1 ? "y" : fmt::format("y{}", j + 1), data.response.col(j).data());
    if (data.trials.size() > 0) add("trials", data.trials.data());
    for (Eigen::Index j = 0; j < data.expert_inputs.cols(); ++j)
      add(fmt::format("x{}", j + 1), data.expert_inputs.col(j).data());
    if (files_.with_labels) {
      for (const int label : problem.labels)
        labels.push_back(label == problem.truth.expert_count() ? 0.0 : label + 1.0);
      add("z", labels.data());
    }
    write_csv(files_.out, columns, CsvWriteOptions{.significant_digits = digits});
  }

  ScenarioOptions scenario_;
  SimulateFiles files_;
};

}  // namespace

std::unique_ptr<Command> make_simulate_command() {
  return std::make_unique<SimulateCommand>();
}

}  // namespace clearway::cli
