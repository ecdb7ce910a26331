// clearway test: does a larger model explain the data better than chance would let it? Do coefficients have the values
// that someone thinks they have?
#include "clearway/stat/likelihood_ratio.hpp"

#include <optional>

#include "../fitted_run.hpp"
#include "../interruptible.hpp"
#include "../registry.hpp"
#include "../summary_json.hpp"
#include "clearway/stat/formula.hpp"
#include "clearway/stat/hypothesis.hpp"

namespace clearway::cli {

namespace {

/// What the alternative changes in the null. Empty or 0: nothing.
struct Against {
  int experts = 0;
  std::string gate;
  std::string expert;
  std::string variance;
  std::string noise;
  std::vector<std::string> experts_on;
  std::vector<std::string> gate_on;
  std::string formula;
  bool free = false;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("against-experts", self.experts,
          OptionInfo{.help = "number of experts of the alternative", .minimum = 0, .maximum = 1000, .off = "0"});
    field("against-gate", self.gate, OptionInfo{.help = "gate of the alternative", .metavar = "GATE"});
    field("against-expert", self.expert, OptionInfo{.help = "kind of experts of the alternative", .metavar = "EXPERT"});
    field("against-variance", self.variance,
          OptionInfo{.help = "own or shared noise level of the alternative", .metavar = "VARIANCE"});
    field("against-noise", self.noise,
          OptionInfo{.help = "extra component for outliers of the alternative", .metavar = "NOISE"});
    field("against-experts-on", self.experts_on,
          OptionInfo{.help = "inputs of the alternative's experts", .metavar = "TERM"});
    field("against-gate-on", self.gate_on, OptionInfo{.help = "inputs of the alternative's gate", .metavar = "TERM"});
    field("against-formula", self.formula,
          OptionInfo{.help = "the alternative's formula, in place of against-experts-on and against-gate-on",
                     .metavar = "FORMULA"});
    field("against-free", self.free,
          OptionInfo{.help = "the alternative estimates freely what the null fixes or shares", .off = "false"});
  }

  bool nothing() const {
    return experts == 0 && gate.empty() && expert.empty() && variance.empty() && noise.empty() && !free &&
           !changes_columns();
  }
  bool changes_columns() const { return !experts_on.empty() || !gate_on.empty() || !formula.empty(); }

  FitOptions apply(FitOptions options) const {
    if (experts > 0) options.experts = experts;
    if (!gate.empty()) options.gate.kind = enum_value<GateKind>("against-gate", gate);
    if (!expert.empty()) options.expert.kind = enum_value<ExpertKind>("against-expert", expert);
    if (!variance.empty()) options.expert.variance = enum_value<VarianceKind>("against-variance", variance);
    if (!noise.empty()) options.noise = enum_value<NoiseKind>("against-noise", noise);
    return options;
  }
  ColumnChoice apply(ColumnChoice columns, const Table& table) const {
    if (!formula.empty()) {
      if (!experts_on.empty() || !gate_on.empty())
        user_error("--against-formula takes the place of --against-experts-on and --against-gate-on");
      for (auto* part : {&columns.target, &columns.experts_on, &columns.gate_on}) part->clear();
      columns.offset.clear();
      apply_formula(Formula::parse(formula), table, columns);
    }
    if (!experts_on.empty()) {
      if (gate_on.empty() && columns.gate_on.empty())
        columns.gate_on = columns.experts_on;  // the gate keeps its inputs
      columns.experts_on = experts_on;
    }
    if (!gate_on.empty()) columns.gate_on = gate_on;
    return columns;
  }
};

/// What a Wald test is asked.
struct WaldChoice {
  std::vector<std::string> wald;
  StandardErrorKind standard_errors = StandardErrorKind::observed;
  std::string cluster;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("wald", self.wald,
          OptionInfo{.help = "linear hypotheses about coefficients, each tested and all at once: \"expert 1: x1\", "
                             "\"gate 1: x1 = 0.5\", \"expert 1: x1 = expert 2: x1\"; x1, experts: x1 and gate: x1 "
                             "stand for all coefficients of an input",
                     .metavar = "HYPOTHESIS"});
    field("standard-errors", self.standard_errors,
          OptionInfo{.help = "covariance of a Wald test", .source = "Louis 1982, White 1982"});
    field("cluster", self.cluster,
          OptionInfo{.help = "column that names the clusters, for --standard-errors cluster", .metavar = "COLUMN"});
  }
};

/// One of the two models.
struct Side {
  Design design;
  FitOptions options;
  std::optional<MixtureModel> start;

  TestedModel tested() const { return {&design.data, options, start ? &*start : nullptr}; }
};

Json side_json(const FitResult& result) {
  return Json{{"log_likelihood", json_number_or_null(result.log_likelihood)},
              {"df", result.degrees_of_freedom},
              {"bic", json_number_or_null(result.bic)},
              {"experts", result.model.expert_count()},
              {"reason", std::string(enum_name(result.reason))}};
}

Json to_json(const LikelihoodRatioTest& test) {
  Json statistics = Json::array();
  for (const double value : test.replications) statistics.push_back(json_number_or_null(value));
  const bool simulated = !test.replications.empty();
  return Json{{"command", "test"},
              {"differences", test.nesting.differences},
              {"null", side_json(test.null)},
              {"alternative", side_json(test.alternative)},
              {"statistic", json_number_or_null(test.statistic)},
              {"degrees_of_freedom", test.degrees_of_freedom},
              {"regular", test.nesting.regular},
              {"reasons", test.nesting.reasons},
              {"chi_square_p", json_number_or_null(test.chi_square_p)},
              {"bootstrap_p", json_number_or_null(test.bootstrap_p)},
              {"bootstrap_low", simulated ? json_number_or_null(test.bootstrap_interval.low) : Json(nullptr)},
              {"bootstrap_high", simulated ? json_number_or_null(test.bootstrap_interval.high) : Json(nullptr)},
              {"exceeding", test.exceeding},
              {"stopped_early", test.stopped_early},
              {"failures", test.failures},
              {"searched_again", test.refitted},
              {"replications", std::move(statistics)},
              {"warnings", test.warnings}};
}

class TestCommand final : public Command {
 public:
  std::string_view name() const override { return "test"; }
  std::string_view summary() const override { return "test a model against a larger one that contains it"; }
  std::string_view examples() const override {
    return "clearway test small/ big/ data.csv\n"
           "clearway test run/ data.csv --against-experts 3\n"
           "clearway test data.csv --target y --experts 2 --gate constant --against-gate softmax\n"
           "clearway test data.csv --target y --experts 2 --against-experts-on x1,x2,x3 --experts-on x1,x2\n"
           "clearway test run/ data.csv --wald \"expert 1: x1, expert 1: x1 = expert 2: x1\"\n"
           "clearway test run/ data.csv --wald \"gate: x1\" --standard-errors sandwich\n"
           "clearway test data.csv --formula \"y ~ x1\" --against-formula \"y ~ ns(x1, 3) + g | x1\"\n"
           "clearway test data.csv --formula \"y ~ x1 + x2\" --share x1 --against-free\n";
  }
  std::string_view description() const override {
    return "A likelihood-ratio test. The null is a fitted run, or a table with the options of clearway fit; the "
           "alternative is a second run, or the null with what the --against options change. It must contain the "
           "null.\n\n"
           "The statistic is twice the difference of the log-likelihoods. Where the usual theory holds (inputs added, "
           "a gate added, separate noise levels), a p-value from chi-square is given. It does not hold for the number "
           "of experts, nor on a boundary; then the answer says so. In all cases data sets are drawn from the null "
           "model, both models are fitted to each, and the p-value is the share of statistics at least as large, with "
           "a 95 % interval for the error of this simulation. It stops early when --stop-after statistics were at "
           "least as large.\n\n"
           "Both models are fitted again to the table before they are compared (a run is the start). The inputs of "
           "the null must be those of the alternative or linear combinations of them: a straight line is nested in a "
           "spline. Categories and knots of a run are kept. --fix and --share make the null of a table a constrained "
           "one, also in the alternative unless --against-free is given; where it cannot be decided whether one "
           "constrained model contains the other, the test says so.\n\n"
           "With --wald the question is one about the coefficients of a single model: a fitted run (fitted again from "
           "where it stands), or a table. Every hypothesis is tested by itself, and where there are several also all "
           "at once; names are those of the table of clearway fit. A test that the theory does not carry says why "
           "instead of giving a number.\n";
  }

  void options(OptionList& list) override {
    list.argument("null", first_, "run folder of the null, or a table; - reads standard input");
    list.argument("alternative", second_, "run folder of the alternative; with one run: the table", false);
    list.argument("data.csv", third_, "with two runs: the table", false);
    list.group("Alternative");
    list.add(against_);
    list.group("Wald");
    list.add(wald_);
    list.group("Simulation");
    list.add(test_);
    list.group("Columns");
    list.add(formula_);
    list.add(columns_);
    list.group("Model");
    list.add(fit_);
    list.add(constraints_);
    list.regroup("Search", {"method", "starts", "max-starts", "short-iterations", "polished", "start-rows",
                            "max-iterations", "tolerance", "acceleration", "newton", "sigma-floor", "keep-degenerate",
                            "gate-ridge", "separation-ridge", "trim"});
    list.group("Table");
    list.add(csv_);
  }

  ExitCode run(Context& context) override {
    if (!wald_.wald.empty()) return run_wald(context);
    for (const char* name : {"standard-errors", "cluster"})
      if (context.options.given(name)) user_error("--{} is for --wald", name);
    Side null, alternative;
    if (second_.empty())
      from_table(null, alternative);
    else if (third_.empty())
      from_run(null, alternative);
    else
      from_two_runs(null, alternative);
    for (Side* side : {&null, &alternative}) {
      side->options.seed = context.common.seed;
      side->options.threads = context.common.threads;
    }
    for (const std::string& note : null.design.notes) context.console.note(note);
    const auto stop = stop_after_interrupt(context.console);
    LikelihoodRatioTest test;
    {
      const auto progress = quiet_progress(context.console);
      test = likelihood_ratio_test(null.tested(), alternative.tested(), test_, progress, stop);
    }
    if (context.common.json)
      context.console.print(json_text(to_json(test)));
    else
      context.console.print(likelihood_ratio_text(test, context.table_digits()));
    if (test.interrupted) return ExitCode::interrupted;
    const bool converged = test.null.converged && test.alternative.converged;
    if (!converged) context.console.warn("a fit did not converge");
    return converged ? ExitCode::success : ExitCode::not_converged;
  }

 private:
  void need_alternative() const {
    if (against_.nothing())
      user_error("test needs an alternative: a second run folder, or what it changes (--against-experts 3 ...)");
  }

  ExitCode run_wald(Context& context) const {
    if (!third_.empty()) user_error("wald tests one model: a run and its table, or a table");
    if (!against_.nothing())
      user_error("--wald takes no --against options: it asks about the coefficients of one model");
    if (wald_.standard_errors == StandardErrorKind::none) user_error("--wald needs standard errors, not none");
    if ((wald_.standard_errors == StandardErrorKind::cluster) != !wald_.cluster.empty())
      user_error("--standard-errors cluster and --cluster COLUMN belong together");
    Side side;
    Table table = read_csv(second_.empty() ? first_ : second_, csv_);
    const Table clusters = wald_.cluster.empty() ? Table() : table;
    if (second_.empty()) {
      ColumnChoice columns = with_formula(table);
      if (!wald_.cluster.empty()) columns.exclude.push_back(wald_.cluster);
      side.options = fit_;
      side.design = make_design(std::move(table), columns, fit_.distinct_kinds(), fit_.gate.kind);
      side.options.constraints = constraints_of(constraints_, fit_, side.design);
    } else {
      refuse_table_options();
      FittedRun run = load_fitted_run(first_);
      side.options = run.options;
      side.options.starts = side.options.polished = 1;  // beside the run itself
      side.design = design_with_response(run.saved.recipe, std::move(table), columns_.missing, "a test");
      side.start = std::move(run.saved.model);
    }
    side.options.seed = context.common.seed;
    side.options.threads = context.common.threads;
    for (const std::string& note : side.design.notes) context.console.note(note);
    const Data& data = side.design.data;
    const FitResult result =
        clearway::fit(data, side.options, side.start ? &*side.start : nullptr, context.console.progress());
    std::vector<std::string> warnings;
    if (side.start && side.start->form != ModelForm::regression) {
      const double before = side.start->log_likelihood(data);
      if (result.log_likelihood > before + 1e-3)
        warnings.push_back(fmt::format(
            "Fitted again, the model reaches a log-likelihood of {:.4f} instead of {:.4f} at this table: the tests are "
            "about that fit, whose experts may have other numbers. Is this the table that the run was fitted to?",
            result.log_likelihood, before));
    }
    std::vector<int> numbers;
    if (!wald_.cluster.empty()) numbers = category_numbers(clusters, wald_.cluster, side.design.kept_rows());
    InferenceOptions how;
    how.standard_errors = wald_.standard_errors;
    const Inference inference = infer(data, result, names_of(side.design), how, numbers, side.options.threads);
    const std::vector<WaldTest> tests = wald_by_name(inference, wald_.wald);
    if (context.common.json)
      context.console.print(json_text(Json{{"command", "test"},
                                           {"wald", wald_json(tests)},
                                           {"standard_errors", std::string(enum_name(wald_.standard_errors))},
                                           {"log_likelihood", json_number_or_null(result.log_likelihood)},
                                           {"converged", result.converged},
                                           {"warnings", warnings}}));
    else
      context.console.print(fmt::format("Wald tests, {} covariance\n{}", enum_name(wald_.standard_errors),
                                        wald_text(tests, SummaryOptions().width)));
    for (const std::string& warning : warnings) context.console.warn(warning);
    if (!result.converged) context.console.warn(fmt::format("not converged: {}", enum_name(result.reason)));
    return result.converged ? ExitCode::success : ExitCode::not_converged;
  }

  /// A run has its own columns and constraints.
  void refuse_table_options() const {
    if (!formula_.formula.empty()) user_error("--formula is for a table; a run keeps its own (--against-formula)");
    if (!constraints_.fix.empty() || !constraints_.share.empty())
      user_error("--fix and --share are for a table; a run keeps its own (--against-free)");
  }

  ColumnChoice with_formula(const Table& table) const {
    ColumnChoice columns = columns_;
    FormulaOption formula = formula_;
    formula.apply(table, columns);
    return columns;
  }

  void from_table(Side& null, Side& alternative) const {
    need_alternative();
    Table table = read_csv(first_, csv_);
    null.options = fit_;
    alternative.options = against_.apply(fit_);
    const ColumnChoice columns = with_formula(table);
    const ColumnChoice changed = against_.apply(columns, table);
    null.design = make_design(table, columns, null.options.distinct_kinds(), null.options.gate.kind);
    alternative.design =
        make_design(std::move(table), changed, alternative.options.distinct_kinds(), alternative.options.gate.kind);
    null.options.constraints = constraints_of(constraints_, null.options, null.design);
    if (!against_.free)
      alternative.options.constraints = constraints_of(constraints_, alternative.options, alternative.design);
  }

  void from_run(Side& null, Side& alternative) const {
    need_alternative();
    refuse_table_options();
    const FittedRun run = load_fitted_run(first_);
    Table table = read_csv(second_, csv_);
    null.options = run.options;
    null.start = run.saved.model;
    alternative.options = against_.apply(run.options);
    null.design = design_with_response(run.saved.recipe, table, columns_.missing, "a test");
    // A gate or experts that did not look at inputs before take those that the run's options name.
    const bool new_readers =
        (gate_reads_inputs(alternative.options.gate.kind) && !gate_reads_inputs(null.options.gate.kind)) ||
        (alternative.options.expert.kind != ExpertKind::constant && null.options.expert.kind == ExpertKind::constant);
    if (against_.changes_columns() || new_readers) {
      ColumnChoice columns = against_.apply(columns_of(run, first_), table);
      columns.missing = columns_.missing;
      alternative.design =
          make_design(table, columns, alternative.options.distinct_kinds(), alternative.options.gate.kind);
      if (keep_levels_and_knots(run.saved.recipe, alternative.design.recipe))
        alternative.design =
            design_with_response(alternative.design.recipe, std::move(table), columns_.missing, "a test");
    } else {
      DesignRecipe recipe = run.saved.recipe;
      recipe.expert = alternative.options.expert.kind;
      alternative.design = design_with_response(recipe, std::move(table), columns_.missing, "a test");
    }
    if (against_.free) {
      alternative.options.constraints = {};
    } else if (!run.options.constraints.empty()) {  // by name: their places may be others now
      const ConstraintChoice choice = constraint_choice_of(run);
      const bool same_places = !against_.changes_columns() && !new_readers && against_.experts == 0 &&
                               against_.gate.empty() && against_.expert.empty();
      if (!choice.fix.empty() || !choice.share.empty())
        alternative.options.constraints = constraints_of(choice, alternative.options, alternative.design);
      else if (!same_places)
        user_error(
            "{}: its fixed parameters have no names (they were chosen by a penalty, or config.json is missing), so "
            "they cannot be found in another model; --against-free leaves them out",
            first_);
    }
  }

  void from_two_runs(Side& null, Side& alternative) const {
    if (!against_.nothing()) user_error("two runs are compared as they are: leave the --against options out");
    refuse_table_options();
    Table table = read_csv(third_, csv_);
    const auto fill = [&](Side& side, const std::string& path, Table own) {
      const FittedRun run = load_fitted_run(path);
      side.options = run.options;
      side.start = run.saved.model;
      side.design = design_with_response(run.saved.recipe, std::move(own), columns_.missing, "a test");
    };
    fill(null, first_, table);
    fill(alternative, second_, std::move(table));
  }

  std::string first_, second_, third_;
  Against against_;
  WaldChoice wald_;
  LikelihoodRatioOptions test_;
  FormulaOption formula_;
  ColumnChoice columns_;
  FitOptions fit_;
  ConstraintChoice constraints_;
  CsvOptions csv_;
};

}  // namespace

std::unique_ptr<Command> make_test_command() {
  return std::make_unique<TestCommand>();
}

}  // namespace clearway::cli
