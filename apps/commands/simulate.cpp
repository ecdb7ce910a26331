// clearway simulate: draw a problem with known truth.
#include "clearway/stat/simulate.hpp"

#include "../registry.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"
#include "clearway/stat/scenario.hpp"
#include "clearway/stat/truth.hpp"

namespace clearway::cli {

namespace {

struct SimulateFiles {
  std::string out = "-";
  std::string truth;
  bool with_labels = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("out", self.out, OptionInfo{.help = "table to write; - is standard output", .metavar = "FILE"});
    field("truth", self.truth, OptionInfo{.help = "file for the true parameters", .metavar = "FILE", .off = "empty"});
    field(
        "with-labels", self.with_labels,
        OptionInfo{.help = "add a column z with the number of the true expert (0: outlier); never use it as an input"});
  }
};

class SimulateCommand final : public Command {
 public:
  std::string_view name() const override { return "simulate"; }
  std::string_view summary() const override { return "draw a table from a mixture of experts with known truth"; }
  std::string_view examples() const override {
    return "clearway simulate --scenario gridlock --experts 3 --dim 10 --rows 10000 --noise 0.1 --out data.csv "
           "--truth truth.json\n"
           "clearway simulate --scenario rare --rows 2000 | clearway fit - --target y --experts 3\n";
  }
  std::string_view description() const override {
    return "Columns of the table: y (y1, y2 ... for a vector response), trials for the scenario binom, then x1, x2 ... "
           "The same options give the same bytes on every machine.\n\n"
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
