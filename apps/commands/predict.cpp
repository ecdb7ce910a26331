// clearway predict: what a fitted model says about new rows.
#include <filesystem>

#include "../prediction_table.hpp"
#include "../registry.hpp"
#include "../run_output.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/io/table_json.hpp"

namespace clearway::cli {

namespace {

/// What becomes of a row in which an input is missing.
enum class MissingRow { error, na };
std::span<const EnumName<MissingRow>> enum_names(MissingRow) {
  static constexpr std::array<EnumName<MissingRow>, 2> names{{
      {MissingRow::error, "error", "stop, naming the first missing cell"},
      {MissingRow::na, "na", "the row is there, its predictions are NA"},
  }};
  return names;
}

struct PredictOptions {
  std::vector<double> quantiles = {0.05, 0.5, 0.95};
  std::vector<std::string> keep;
  MissingRow missing = MissingRow::error;
  std::string out = "-";
  bool force = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("quantiles", self.quantiles,
          OptionInfo{.help = "probabilities of the quantiles of the mixture; one real or count response only",
                     .minimum = 0,
                     .maximum = 1,
                     .above_minimum = true,
                     .off = "none"});
    field("keep", self.keep, OptionInfo{.help = "columns to copy in front (identifiers)", .metavar = "COLUMN"});
    field("missing", self.missing, OptionInfo{.help = "rows in which an input is missing"});
    field("out", self.out, OptionInfo{.help = "CSV file to write; - is standard output", .metavar = "FILE"});
    field("force", self.force, OptionInfo{.help = "replace the file when it is there"});
  }
};

class PredictCommand final : public Command {
 public:
  std::string_view name() const override { return "predict"; }
  std::string_view summary() const override { return "predict new rows with a fitted model"; }
  std::string_view examples() const override {
    return "clearway predict run/ new.csv --out predictions.csv\n"
           "clearway predict run/ new.csv --interval confidence --effects x1\n"
           "clearway predict run/ new.csv --quantiles 0.1,0.9 --keep id | head\n"
           "cat new.csv | clearway predict run/ -\n";
  }
  std::string_view description() const override {
    return "Writes one row per row of the table, in its order, with the columns: those of --keep; mean (vector\n"
           "response: mean_NAME each; classes: probability_CLASS each and class); q0.05 and so on; expert "
           "(largest\n"
           "gate weight, from 1); gate_1 to gate_K; mean_1 to mean_K (the answer of each expert).\n"
           "\n"
           "Where the table holds the response too: log_density, and responsibility_1 to responsibility_K (weights\n"
           "after seeing the response; responsibility_noise with a noise component). NA stands where a cell that is\n"
           "needed is missing.\n"
           "\n"
           "--interval confidence adds NAME_se, NAME_low, NAME_high for mean, gate_1 to gate_K and mean_1 to mean_K\n"
           "(delta method); band widens them so that they hold for all rows at once. --interval prediction adds\n"
           "prediction_low and prediction_high, --interval hdr the smallest region for a new response, hdr_1_low,\n"
           "hdr_1_high and so on, in several pieces where the density has several peaks. --effects x adds the "
           "marginal\n"
           "effect of a column, effect_x.\n"
           "\n"
           "A model fitted by least squares adds sd, the noise level sigma; its quantiles are normal, and "
           "it\n"
           "has no responsibilities.\n"
           "\n"
           "With --json the same columns as lists in one object.\n";
  }

  void options(OptionList& list) override {
    list.argument("run", run_, "run folder of clearway fit, or a model.json");
    list.argument("new.csv", path_, "the table; - reads standard input");
    list.group("Prediction");
    list.add(options_);
    list.group("Intervals");
    list.add(intervals_);
    list.group("Table");
    list.add(csv_);
  }

  ExitCode run(Context& context) override {
    const SavedModel saved = load();
    for (const double probability : options_.quantiles)
      if (probability >= 1) user_error("quantiles must be below 1, not {}", probability);
    if (!has_quantiles(saved.model)) {
      if (context.options.given("quantiles") && !options_.quantiles.empty())
        user_error("quantiles need one real or count response; leave --quantiles out for this model");
      options_.quantiles.clear();
    }
    refuse_present(options_.out, options_.force);
    Table table = read_csv(path_, csv_);
    std::vector<Column> kept;
    for (const std::string& name : options_.keep) kept.push_back(table.column(name));
    const MissingPolicy policy = options_.missing == MissingRow::na ? MissingPolicy::drop : MissingPolicy::error;
    const Table raw = intervals_.effects.empty() ? Table() : table;  // effects move its columns
    const Design design = apply_recipe(saved.recipe, std::move(table), policy);
    for (const std::string& warning : design.warnings) context.console.warn(warning);
    if (!design.dropped.empty())
      context.console.note(fmt::format("{} rows with missing inputs have NA predictions", design.dropped.size()));
    std::vector<NumberColumn> intervals = interval_columns({.saved = saved,
                                                            .design = design,
                                                            .table = raw,
                                                            .missing = policy,
                                                            .seed = static_cast<std::uint64_t>(context.common.seed),
                                                            .threads = context.common.threads},
                                                           intervals_);
    warn_of_conditions(context, saved);
    const Table predictions = prediction_table({.saved = saved,
                                                .design = design,
                                                .kept = std::move(kept),
                                                .quantiles = options_.quantiles,
                                                .intervals = std::move(intervals)});
    if (context.common.json)
      write_json(options_.out, table_to_json(predictions));
    else
      write_csv(options_.out, predictions, CsvWriteOptions{.significant_digits = context.csv_digits()});
    return ExitCode::success;
  }

 private:
  /// What was not valid in the fit may taint intervals that lean on it.
  void warn_of_conditions(Context& context, const SavedModel& saved) const {
    const bool leans = intervals_.interval == IntervalKind::confidence || intervals_.interval == IntervalKind::band;
    if (!leans || !saved.inference) return;
    for (const std::string& note : saved.inference->notes)
      context.console.warn(fmt::format("intervals hold up to this: {}", note));
  }

  SavedModel load() const {
    if (std::filesystem::is_regular_file(run_)) return model_from_json(read_json(run_), run_);
    const RunFolder folder = RunFolder::open(run_);
    return model_from_json(folder.read_json("model.json"), folder.file("model.json"));
  }

  std::string run_;
  std::string path_;
  PredictOptions options_;
  IntervalOptions intervals_;
  CsvOptions csv_;
};

}  // namespace

std::unique_ptr<Command> make_predict_command() {
  return std::make_unique<PredictCommand>();
}

}  // namespace clearway::cli
