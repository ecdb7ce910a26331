// clearway diagnose: what to look at after a fit.
#include "clearway/stat/diagnosis.hpp"

#include "../fitted_run.hpp"
#include "../registry.hpp"
#include "../run_output.hpp"

namespace clearway::cli {

namespace {

struct DiagnoseFiles {
  MissingPolicy missing = MissingPolicy::error;
  std::string out;
  bool force = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("missing", self.missing, OptionInfo{.help = "what to do with rows in which a cell is missing"});
    field("out", self.out, OptionInfo{.help = "CSV file for one row per row of the table", .metavar = "FILE"});
    field("force", self.force, OptionInfo{.help = "replace the file when it is there"});
  }
};

/// One row per row of the file; rows that were left out are NA.
Table row_table(const RowDiagnosis& rows, const Design& design) {
  Table table;
  table.rows = design.table_rows;
  const std::vector<std::size_t> kept = design.kept_rows();
  const auto add = [&](std::string name, const auto& values) {
    Column column;
    column.name = std::move(name);
    column.numbers.assign(table.rows, std::nan(""));
    for (std::size_t i = 0; i < kept.size(); ++i)
      column.numbers[kept[i]] = static_cast<double>(values[static_cast<Eigen::Index>(i)]);
    for (std::size_t t = 0; t < table.rows; ++t)
      if (std::isnan(column.numbers[t])) column.missing.push_back(t);
    table.columns.push_back(std::move(column));
  };
  std::vector<double> number(kept.size()), expert(kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    number[i] = static_cast<double>(kept[i] + 1);
    expert[i] = rows.expert[i] + 1;
  }
  const auto each = [&](const std::string& name, const Matrix& values) {
    for (Eigen::Index j = 0; j < values.cols(); ++j) {
      const Vector column = values.col(j);
      add(values.cols() == 1 ? name : name + "_" + design.response_names[static_cast<std::size_t>(j)], column);
    }
  };
  add("row", Eigen::Map<const Vector>(number.data(), static_cast<Eigen::Index>(number.size())));
  each("mean", rows.mean);
  each("residual", rows.residuals.residual);
  each("pit", rows.residuals.probability);
  add("log_density", rows.log_density);
  add("expert", Eigen::Map<const Vector>(expert.data(), static_cast<Eigen::Index>(expert.size())));
  add("responsibility", rows.responsibility);
  add("entropy", rows.entropy);
  add("tail", rows.tail);
  add("leverage", rows.influence.leverage);
  add("cook_parameters", rows.influence.cook_parameters);
  add("cook_predictions", rows.influence.cook_predictions);
  add("likelihood_displacement", rows.influence.likelihood_displacement);
  return table;
}

Json to_json(const FitDiagnosis& diagnosis, const std::vector<std::size_t>& kept) {
  const auto number = [&](Eigen::Index t) { return kept.at(static_cast<std::size_t>(t)) + 1; };
  const RowDiagnosis& rows = diagnosis.rows;
  Json json = {{"command", "diagnose"}, {"rows", rows.entropy.size()}};
  json["residuals"] = Json::array();
  for (const NormalitySummary& s : diagnosis.normality)
    json["residuals"].push_back({{"mean", json_number_or_null(s.mean)},
                                 {"sd", json_number_or_null(s.deviation)},
                                 {"skewness", json_number_or_null(s.skewness)},
                                 {"excess_kurtosis", json_number_or_null(s.excess_kurtosis)},
                                 {"kolmogorov", json_number_or_null(s.kolmogorov)},
                                 {"kolmogorov_p", json_number_or_null(s.kolmogorov_p)}});
  json["dispersion"] = json_number_or_null(diagnosis.dispersion);
  json["rootogram"] = Json::array();
  for (const RootogramBar& bar : diagnosis.rootogram)
    json["rootogram"].push_back({{"count", bar.count},
                                 {"or_more", bar.or_more},
                                 {"observed", json_number_or_null(bar.observed)},
                                 {"expected", json_number_or_null(bar.expected)}});
  json["experts"] = Json::array();
  for (Eigen::Index k = 0; k < diagnosis.expert_rows.size(); ++k)
    json["experts"].push_back({{"rows", json_number_or_null(diagnosis.expert_rows(k))},
                               {"effective_rows", json_number_or_null(diagnosis.effective_rows(k))}});
  json["mean_entropy"] = json_number_or_null(rows.entropy.mean());
  json["unexplained"] = Json::array();
  for (const Eigen::Index t : diagnosis.unexplained) json["unexplained"].push_back(number(t));
  json["largest_residuals"] = Json::array();
  for (const Eigen::Index t : diagnosis.largest_residuals)
    json["largest_residuals"].push_back(
        {{"row", number(t)}, {"residual", json_number_or_null(rows.residuals.residual(t, 0))}});
  json["most_influential"] = Json::array();
  for (std::size_t i = 0; i < diagnosis.most_influential.size(); ++i) {
    const Eigen::Index t = diagnosis.most_influential[i];
    const Deletion& deletion = diagnosis.deletions[i];
    json["most_influential"].push_back(
        {{"row", number(t)},
         {"leverage", json_number_or_null(rows.influence.leverage(t))},
         {"cook_parameters", json_number_or_null(rows.influence.cook_parameters(t))},
         {"cook_predictions", json_number_or_null(rows.influence.cook_predictions(t))},
         {"displacement_one_step", json_number_or_null(deletion.one_step)},
         {"displacement_refitted",
          deletion.failure.empty() ? json_number_or_null(deletion.log_likelihood_drop) : Json(nullptr)},
         {"largest_move", deletion.failure.empty() ? json_number_or_null(deletion.largest_move) : Json(nullptr)}});
  }
  const OptimumCheck& check = diagnosis.optimum;
  json["optimum"] = Json{{"log_likelihood", json_number_or_null(check.log_likelihood)},
                         {"mean_score", json_number_or_null(check.mean_score)},
                         {"score_difference", json_number_or_null(check.score_difference)},
                         {"information_difference", json_number_or_null(check.information_difference)},
                         {"least_eigenvalue", json_number_or_null(check.least_eigenvalue)},
                         {"condition", json_number_or_null(check.condition)},
                         {"flat", check.flat},
                         {"parameters", check.parameters},
                         {"at_bounds", check.at_bounds},
                         {"climb_steps", check.climb_steps},
                         {"climb_drop", json_number_or_null(check.climb_drop)}};
  json["optima"] = Json::array();
  for (const OptimumGroup& group : diagnosis.optima)
    json["optima"].push_back({{"log_likelihood", json_number_or_null(group.log_likelihood)},
                              {"starts", group.starts},
                              {"degenerate", group.degenerate}});
  json["warnings"] = diagnosis.warnings;
  return json;
}

class DiagnoseCommand final : public Command {
 public:
  std::string_view name() const override { return "diagnose"; }
  std::string_view summary() const override { return "residuals, influential rows and checks of a fitted model"; }
  std::string_view examples() const override {
    return "clearway diagnose run/ data.csv\nclearway diagnose run/ data.csv --out residuals.csv --top 10\n";
  }
  std::string_view description() const override {
    return "Prints how the quantile residuals look (standard normal under the model), dispersion and, for counts, a "
           "rootogram; how many rows each expert rests on; the largest residuals, the most influential rows (these are "
           "left out in earnest too) and rows that no expert explains; whether the estimate is an optimum (score and "
           "information against differences, EM climbs); and where other starts end.\n\n"
           "--out writes one row per row of the table: row, mean, residual, pit, log_density, expert, responsibility, "
           "entropy, tail (largest two-sided tail probability over the experts), leverage, cook_parameters, "
           "cook_predictions, likelihood_displacement; a vector response has mean_NAME, residual_NAME, pit_NAME.\n";
  }

  void options(OptionList& list) override {
    list.argument("run", run_, "run folder of clearway fit, or a model.json");
    list.argument("data.csv", path_, "the table that it was fitted to; - reads standard input");
    list.group("Diagnosis");
    list.add(options_);
    list.group("Data and files");
    list.add(files_);
    list.group("Table");
    list.add(csv_);
  }

  ExitCode run(Context& context) override {
    refuse_present(files_.out, files_.force);
    const FittedRun run = load_fitted_run(run_);
    const Design design = design_with_response(run.saved.recipe, read_csv(path_, csv_), files_.missing, "a diagnosis");
    for (const std::string& note : design.notes) context.console.note(note);
    const FitDiagnosis diagnosis =
        clearway::diagnose(design.data, run.saved.model, run.options, options_, context.console.progress());
    if (!files_.out.empty())
      write_csv(files_.out, row_table(diagnosis.rows, design),
                CsvWriteOptions{.significant_digits = context.csv_digits()});
    if (context.common.json || files_.out != "-")
      print_result(context, diagnosis_text(diagnosis, design.kept_rows(), context.table_digits()),
                   to_json(diagnosis, design.kept_rows()));
    return ExitCode::success;
  }

 private:
  std::string run_;
  std::string path_;
  DiagnosisOptions options_;
  DiagnoseFiles files_;
  CsvOptions csv_;
};

}  // namespace

std::unique_ptr<Command> make_diagnose_command() {
  return std::make_unique<DiagnoseCommand>();
}

}  // namespace clearway::cli
