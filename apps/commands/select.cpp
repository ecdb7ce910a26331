// clearway select: how many experts, which gate, which kind of expert; one recommendation with its reason.
#include "clearway/stat/selection.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "../fitted_run.hpp"
#include "../model_json.hpp"
#include "../registry.hpp"
#include "../run_output.hpp"
#include "../selection_json.hpp"
#include "build_information.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/stat/formula.hpp"
#include "clearway/stat/penalised.hpp"
#include "clearway/stat/stepwise.hpp"

namespace clearway::cli {

namespace {

/// The column choice for one kind of gate and expert: kinds without inputs take none, whatever the others take.
ColumnChoice choice_for(ColumnChoice choice, const std::vector<ExpertKind>& experts, GateKind gate) {
  if (gate == GateKind::constant || gate == GateKind::equal)
    choice.gate_on.clear();
  else if (choice.gate_on.empty())
    choice.gate_on = choice.experts_on;
  if (experts == std::vector{ExpertKind::constant}) choice.experts_on.clear();
  return choice;
}

/// The families that the options name and the designs they see.
struct Candidates {
  std::map<std::pair<std::vector<ExpertKind>, GateKind>, Design> designs;
  std::vector<CandidateFamily> families;

  const Design& design_of(const CandidateFamily& family) const {
    return designs.at({family.kinds.empty() ? std::vector{family.expert.kind} : family.kinds, family.gate.kind});
  }
};

Candidates make_candidates(const Table& table, const ColumnChoice& columns, const SelectionOptions& options) {
  Candidates all;
  for (const std::string& family : options.families)
    for (const std::string& gate_name : options.gates) {
      CandidateFamily one{options.fit.gate, options.fit.expert, nullptr};
      const std::vector<ExpertKind> kinds = expert_kinds(family);
      one.expert.kind = kinds.front();
      if (kinds.size() > 1) one.kinds = kinds;
      one.gate.kind = enum_value<GateKind>("gate", gate_name);
      const auto [at, fresh] = all.designs.try_emplace({kinds, one.gate.kind});
      if (!fresh) user_error("gate and expert: {} {} is listed twice", gate_name, family);
      at->second = make_design(table, choice_for(columns, kinds, one.gate.kind), kinds, one.gate.kind);
      if (at->second.dropped != all.designs.begin()->second.dropped)
        user_error(
            "candidates would see different rows, because cells are missing in columns that not all of them use; name "
            "the same inputs for all, or leave the column out with --exclude");
      one.data = &at->second.data;
      all.families.push_back(one);
    }
  return all;
}

class SelectCommand final : public Command {
 public:
  std::string_view name() const override { return "select"; }
  std::string_view summary() const override { return "choose the number of experts, the gate and the kind of expert"; }
  std::string_view examples() const override {
    return "clearway select data.csv --target y --experts 1:8\n"
           "clearway select data.csv --formula \"y ~ x1 + log(x2) | z\" --gate softmax,constant --out run/\n"
           "clearway select data.csv --target y --experts 2:4 --penalty lasso\n"
           "clearway select visits.csv --target visits --expert poisson --criterion log-score --folds 10\n";
  }
  std::string_view description() const override {
    return "Fits every number of experts with every gate and kind of expert asked for, exchanges starts along the\n"
           "number of experts (split one, merge two), and prints a path table: log-likelihood, AIC, AICc, BIC, SABIC,\n"
           "ICL (smaller is better, as in R), cross-validated log-likelihood, RMSE and CRPS with standard errors,\n"
           "slope heuristics and the dendrogram of mixing measures, the winner of each marked *. Below it one\n"
           "recommendation with its reason: by BIC unless --criterion says otherwise, with what the other criteria "
           "say.\n"
           "\n"
           "Candidates that did not converge, sit at a spike of the likelihood, or have an expert with fewer rows "
           "than\n"
           "coefficients are set aside, with the reason.\n"
           "\n"
           "--penalty lasso or elastic-net chooses inputs: for every number of experts a path of strengths on the "
           "slopes\n"
           "of gate and experts, the strength by BIC (or by cross-validation with --criterion log-score), and the "
           "slopes\n"
           "that are left estimated again without it. --stepwise adds and takes away terms one at a time by BIC.\n"
           "\n"
           "With --out the run folder holds the recommended model as clearway fit would write it (model.json,\n"
           "summary.txt, history.jsonl, config.json), summary.json (what --json prints), path.csv, the table, and "
           "select.json,\n"
           "the options of the selection.\n"
           "Results do not depend on the number of threads.\n";
  }

  void options(OptionList& list) override {
    list.argument("data.csv", path_, "the table; - reads standard input");
    list.group("Columns");
    list.add(formula_);
    list.add(columns_);
    list.group("Candidates");
    list.add(options_);
    list.regroup("Search", {"method", "starts", "max-starts", "short-iterations", "polished", "start-rows",
                            "max-iterations", "tolerance", "acceleration", "newton", "sigma-floor", "keep-degenerate",
                            "gate-ridge", "separation-ridge"});
    list.group("Inputs");
    list.add(stepwise_);
    list.add(penalty_);
    list.group("Table");
    list.add(csv_);
    list.group("Output");
    list.add(output_);
  }

  ExitCode run(Context& context) override {
    std::optional<RunFolder> folder;
    const auto progress = context.console.progress();
    progress(0.0, "reading");
    const Table table = read_csv(path_, csv_);
    formula_.apply(table, columns_);
    const Candidates candidates = make_candidates(table, columns_, options_);
    const Design& first = candidates.design_of(candidates.families.front());
    for (const std::string& note : first.notes) context.console.note(note);
    for (const std::string& warning : first.warnings) context.console.warn(warning);
    if (!output_.out.empty()) folder = RunFolder::create(output_.out, output_.force);
    if (penalty_.kind != PenaltyKind::none && stepwise_.direction != Stepwise::none)
      user_error("penalty and stepwise both choose inputs; give one of them");
    const bool mixed = std::any_of(candidates.families.begin(), candidates.families.end(),
                                   [](const CandidateFamily& family) { return !family.kinds.empty(); });
    if (mixed && (penalty_.kind != PenaltyKind::none || stepwise_.direction != Stepwise::none))
      user_error("penalty and stepwise are for experts of one kind");
    if (penalty_.kind == PenaltyKind::none && penalty_.inference != PenaltyInference::none)
      user_error("penalty-inference needs a --penalty");
    if (penalty_.kind != PenaltyKind::none) return run_penalised(context, candidates, folder);
    if (stepwise_.direction != Stepwise::none) return run_stepwise(context, candidates, folder);
    const SelectionResult result = select_model(candidates.families, options_, progress);
    report(context, candidates, result, folder);
    if (result.recommended) return ExitCode::success;
    context.console.warn("no candidate can be recommended");
    return ExitCode::not_converged;
  }

 private:
  // A path of penalties for every number of experts; the model with the smallest BIC (largest log score) is kept.
  ExitCode run_penalised(Context& context, const Candidates& candidates, const std::optional<RunFolder>& folder) const {
    if (candidates.families.size() != 1) user_error("penalty: give one kind of gate and one kind of expert");
    const CandidateFamily& family = candidates.families.front();
    const Design& design = candidates.design_of(family);
    const std::vector<int> numbers = expert_numbers(options_.experts);
    const auto progress = context.console.progress();
    const bool by_score = options_.criterion == SelectionCriterion::log_score;
    if (!by_score && options_.criterion != SelectionCriterion::bic)
      user_error("criterion must be bic or log-score with a penalty, not {}", enum_name(options_.criterion));
    const auto options_for = [&](int experts) {
      FitOptions options = options_.fit;
      options.experts = experts;
      options.gate = family.gate;
      options.expert = family.expert;
      return options;
    };
    const bool split = penalty_.inference == PenaltyInference::split;
    const RowHalves halves = random_halves(design.data.rows(), options_.fit.seed);
    const Data half = split ? design.data.subset(halves.selection) : Data();
    const Data& data = split ? half : design.data;
    std::vector<PenalisedPath> paths;
    for (const int experts : numbers) {
      const double before = static_cast<double>(paths.size());
      paths.push_back(penalised_path(data, options_for(experts), penalty_, by_score ? options_.folds : 0,
                                     [&](double fraction, const std::string& what) {
                                       progress((before + fraction) / static_cast<double>(numbers.size()),
                                                fmt::format("{} experts, {}", experts, what));
                                     }));
    }
    const auto loss = [&](const PenalisedPath& path) {
      const PenalisedPoint& point = path.points[path.chosen];
      return std::pair(point.degenerate, by_score ? -point.log_score.value : point.criteria.bic);
    };
    const PenalisedPath& best = *std::min_element(
        paths.begin(), paths.end(), [&](const auto& one, const auto& other) { return loss(one) < loss(other); });
    std::string text, csv;
    Json summary = {{"paths", Json::array()}};
    for (const PenalisedPath& path : paths) {
      text += penalised_text(path, design.expert_names, design.gate_names, context.table_digits()) + "\n";
      const std::string table = penalised_csv(path);
      csv += csv.empty() ? table : table.substr(table.find('\n') + 1);
      summary["paths"].push_back(penalised_json(path));
    }
    if (paths.size() > 1) text += fmt::format("Recommended: {} experts.\n\n", best.experts);
    if (folder) folder->write("path.csv", csv);
    summary["penalty_inference"] = std::string(enum_name(penalty_.inference));
    if (penalty_.inference == PenaltyInference::none)
      return keep(context, {design, family, as_fit_result(best, data), nullptr, slopes_at_zero(design, best)}, text,
                  std::move(summary), folder);
    Design used = design;
    if (split) {
      used.data = design.data.subset(halves.inference);
      used.notes.push_back(
          fmt::format("Inputs were chosen on {} random rows; all that follows comes from the other {}.",
                      halves.selection.size(), halves.inference.size()));
    }
    FitResult fit = refit_selected(used.data, options_for(best.experts), best.points[best.chosen]);
    fit.warnings.insert(fit.warnings.begin(), selection_caution(penalty_.inference));
    const Inference inference = infer(used.data, fit, names_of(used), {}, {}, options_.fit.threads);
    return keep(context, {used, family, std::move(fit), &inference, slopes_at_zero(design, best)}, text,
                std::move(summary), folder);
  }

  /// The slopes that the path left out, as --fix says it; none where those that are left are shrunk, because no fit gives
  /// that model again.
  static std::vector<std::string> slopes_at_zero(const Design& design, const PenalisedPath& path) {
    std::vector<std::string> fixed;
    if (!path.penalty.relax) return fixed;
    for (const FixedParameter& slope : zero_slopes(path.points[path.chosen]).fixed) {
      const auto& names = slope.in_gate ? design.gate_names : design.expert_names;
      fixed.push_back(fmt::format("{}{}:{}=0", slope.in_gate ? "gate" : "expert", slope.expert + 1,
                                  names[static_cast<std::size_t>(slope.parameter) - 1]));
    }
    return fixed;
  }

  // Stepwise choice of terms for every number of experts; the model with the smallest BIC is kept.
  ExitCode run_stepwise(Context& context, const Candidates& candidates, const std::optional<RunFolder>& folder) const {
    if (candidates.families.size() != 1) user_error("stepwise: give one kind of gate and one kind of expert");
    const CandidateFamily& family = candidates.families.front();
    const std::vector<int> numbers = expert_numbers(options_.experts);
    const auto progress = context.console.progress();
    std::optional<StepwiseResult> best;
    std::string text;
    Json summary = {{"paths", Json::array()}};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      FitOptions options = options_.fit;
      options.experts = numbers[i];
      options.gate = family.gate;
      options.expert = family.expert;
      StepwiseResult found =
          stepwise_fit(candidates.design_of(family), options, stepwise_, [&](double fraction, const std::string& what) {
            progress((static_cast<double>(i) + fraction) / static_cast<double>(numbers.size()),
                     fmt::format("{} experts, {}", numbers[i], what));
          });
      text += stepwise_text(found, context.table_digits()) + "\n";
      summary["paths"].push_back(stepwise_json(found));
      if (!best || found.fit.bic < best->fit.bic) best = std::move(found);
    }
    if (numbers.size() > 1) text += fmt::format("Recommended: {} experts.\n\n", best->fit.model.expert_count());
    return keep(context, {best->design, family, best->fit}, text, std::move(summary), folder);
  }

  /// A model that is kept, with what it was fitted to.
  struct Kept {
    const Design& design;
    const CandidateFamily& family;
    FitResult fit;
    const Inference* inference = nullptr;
    std::vector<std::string> fixed = {};  ///< what --fix has to say so that the model can be fitted again
  };

  ExitCode keep(const Context& context, const Kept& kept, std::string text, Json details,
                const std::optional<RunFolder>& folder) const {
    const ModelNames names = names_of(kept.design);
    const Allocation counts = allocation(kept.fit.model, kept.design.data);
    text += full_summary(kept.fit, names,
                         {.digits = context.table_digits(),
                          .allocation = &counts,
                          .inference = kept.inference,
                          .notes = &kept.design.notes});
    Json summary = {
        {"clearway", std::string(kVersion)}, {"command", "select"}, {"data", path_}, {"seed", options_.fit.seed}};
    summary.update(details);
    summary["model"] = summary_json(kept.fit, names, counts);
    if (kept.inference != nullptr) summary["inference"] = inference_json(*kept.inference);
    if (folder) {
      write_configuration(context, *folder, kept.fit.model.expert_count(), kept.family, kept.fixed);
      folder->write_json("model.json", model_to_json(kept.fit.model, kept.design.recipe,
                                                     kept.inference ? saved_inference(*kept.inference)
                                                                    : std::optional<SavedInference>()));
      folder->write("summary.txt", text);
      folder->write_json("summary.json", summary);
      folder->write("history.jsonl", history_lines(kept.fit));
    }
    print_result(context, text, summary);
    return kept.fit.converged ? ExitCode::success : ExitCode::not_converged;
  }

  /// config.json as clearway fit would have written it for the model that is kept, and select.json with the options of
  /// the selection.
  static void write_configuration(const Context& context, const RunFolder& folder, int experts,
                                  const CandidateFamily& family, const std::vector<std::string>& fixed) {
    const Json selection = run_config("select", context.options);
    folder.write_json("select.json", selection);
    Json config = selection;
    config["command"] = "fit";
    config["experts"] = experts;
    config["gate"] = std::string(enum_name(family.gate.kind));
    config["expert"] = Json::array();
    for (const ExpertKind kind : family.kinds_of(experts)) config["expert"].push_back(std::string(enum_name(kind)));
    if (family.kinds.empty()) config["expert"].push_back(std::string(enum_name(family.expert.kind)));
    const auto drop = [&](std::string_view name, const auto&, const OptionInfo&) {
      const std::string key = snake_case(name);
      if (key != "experts" && key != "gate" && key != "expert") config.erase(key);
    };
    const StepwiseOptions steps;
    StepwiseOptions::visit(steps, drop);
    const PenaltyOptions penalties;
    PenaltyOptions::visit(penalties, drop);
    const SelectionOptions own;
    SelectionOptions::visit_own(own, drop);
    if (!fixed.empty()) config["fix"] = fixed;
    folder.write_json("config.json", config);
  }

  void report(const Context& context, const Candidates& candidates, const SelectionResult& result,
              const std::optional<RunFolder>& folder) const {
    std::string text = selection_text(result, context.table_digits());
    Json summary = {
        {"clearway", std::string(kVersion)}, {"command", "select"}, {"data", path_}, {"seed", options_.fit.seed}};
    summary.update(selection_json(result));
    if (result.recommended) {
      const Candidate& winner = result.candidates[*result.recommended];
      const Design& design = candidates.design_of(result.families[winner.family]);
      const ModelNames names = names_of(design);
      const Allocation counts = allocation(winner.fit.model, design.data);
      const SummaryOptions layout{.digits = context.table_digits(), .allocation = &counts, .notes = &design.notes};
      text += '\n';
      text += full_summary(winner.fit, names, layout);
      summary["model"] = summary_json(winner.fit, names, counts);
      if (folder) {
        write_configuration(context, *folder, winner.experts, result.families[winner.family], {});
        folder->write_json("model.json", model_to_json(winner.fit.model, design.recipe));
        folder->write("history.jsonl", history_lines(winner.fit));
      }
    }
    if (folder) {
      folder->write("summary.txt", text);
      folder->write_json("summary.json", summary);
      folder->write("path.csv", selection_csv(result));
    }
    print_result(context, text, summary);
  }

  std::string path_;
  FormulaOption formula_;
  ColumnChoice columns_;
  SelectionOptions options_;
  StepwiseOptions stepwise_;
  PenaltyOptions penalty_;
  CsvOptions csv_;
  RunOutput output_;
};

}  // namespace

std::unique_ptr<Command> make_select_command() {
  return std::make_unique<SelectCommand>();
}

}  // namespace clearway::cli
