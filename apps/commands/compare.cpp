// clearway compare: how far a fitted model is from the truth, or from another fit.
#include "clearway/stat/compare.hpp"

#include "../model_json.hpp"
#include "../registry.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/stat/truth.hpp"

namespace clearway::cli {

namespace {

struct CompareOptions {
  std::string truth;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("truth", self.truth,
          OptionInfo{.help = "file of the true parameters, from clearway simulate", .metavar = "FILE"});
  }
};

SavedModel saved_model(const std::string& run) {
  const RunFolder folder = RunFolder::open(run);
  return model_from_json(folder.read_json("model.json"), folder.file("model.json"));
}

/// Distances between models of other things mean nothing: said for every part that differs.
void note_other_names(const DesignRecipe& one, const DesignRecipe& other, std::vector<std::string>& notes) {
  const auto check = [&](const char* what, const std::vector<std::string>& a, const std::vector<std::string>& b) {
    if (a != b)
      notes.push_back(
          fmt::format("Warning: the {} of the two runs differ ({} against {}): parameters are compared by "
                      "their places, which means little here.",
                      what, a.empty() ? "none" : short_list(a), b.empty() ? "none" : short_list(b)));
  };
  check("responses", one.target, other.target);
  check("inputs of the experts", one.expert_names(), other.expert_names());
  check("inputs of the gates", one.gate_names(), other.gate_names());
}

std::string number(double value, int digits) {
  return std::isnan(value) ? std::string("-") : fmt::format("{:.{}g}", value, digits);
}

Json to_json(const Comparison& comparison) {
  Json json;
  json["fitted_experts"] = comparison.fitted_experts;
  json["true_experts"] = comparison.true_experts;
  json["regressor_error"] = json_number_or_null(comparison.regressor_error);
  json["expert_rmse"] = json_number_or_null(comparison.expert_rmse);
  json["gate_error"] = json_number_or_null(comparison.gate_error);
  json["gate_rmse"] = json_number_or_null(comparison.gate_rmse);
  json["sigma_error"] = json_number_or_null(comparison.sigma_error);
  json["voronoi_exact"] = json_number_or_null(comparison.voronoi_exact);
  json["voronoi_over"] = json_number_or_null(comparison.voronoi_over);
  json["noise_weight_error"] = json_number_or_null(comparison.noise_weight_error);
  json["experts"] = Json::array();
  for (std::size_t i = 0; i < comparison.experts.size(); ++i) {
    const ExpertComparison& expert = comparison.experts[i];
    Json cell = Json::array();
    for (const int member : expert.cell) cell.push_back(member + 1);
    json["experts"].push_back({{"true", i + 1},
                               {"fitted", expert.fitted < 0 ? Json(nullptr) : Json(expert.fitted + 1)},
                               {"regressor_error", json_number_or_null(expert.regressor)},
                               {"sigma_difference", json_number_or_null(expert.sigma)},
                               {"voronoi_cell", cell}});
  }
  json["notes"] = comparison.notes;
  return json;
}

std::string to_text(const Comparison& comparison, const std::string& title, int digits) {
  std::string text = title + "\n\n";
  const auto line = [&](const char* name, double value, const char* meaning) {
    if (!std::isnan(value)) text += fmt::format("  {:<20}{:>12}   {}\n", name, number(value, digits), meaning);
  };
  line("regressor error", comparison.regressor_error, "largest |a^ - a| / |a| over the experts, slopes only");
  line("expert RMSE", comparison.expert_rmse, "intercepts and slopes of the experts");
  line("gate error", comparison.gate_error, "|W^ - W| / |W|, slopes against the last expert");
  line("gate RMSE", comparison.gate_rmse, "intercepts and slopes of the gate");
  line("sigma error", comparison.sigma_error, "largest |sigma^ - sigma|");
  line("noise weight error", comparison.noise_weight_error, "weight of the uniform noise component");
  line("Voronoi loss D1", comparison.voronoi_exact, "every difference to the power 1");
  line("Voronoi loss D2", comparison.voronoi_over, "with the exponents of over-specified cells");
  text += fmt::format("\n  {:>4}{:>8}{:>18}{:>18}   {}\n", "true", "fitted", "regressor error", "sigma^ - sigma",
                      "Voronoi cell");
  for (std::size_t i = 0; i < comparison.experts.size(); ++i) {
    const ExpertComparison& expert = comparison.experts[i];
    std::vector<int> cell;
    for (const int member : expert.cell) cell.push_back(member + 1);
    text += fmt::format("  {:>4}{:>8}{:>18}{:>18}   {}\n", i + 1,
                        expert.fitted < 0 ? std::string("-") : std::to_string(expert.fitted + 1),
                        number(expert.regressor, digits), number(expert.sigma, digits), fmt::join(cell, " "));
  }
  for (const std::string& note : comparison.notes) text += fmt::format("  {}\n", note);
  return text;
}

class CompareCommand final : public Command {
 public:
  std::string_view name() const override { return "compare"; }
  std::string_view summary() const override {
    return "measure how far a fitted model is from the truth or another fit";
  }
  std::string_view examples() const override {
    return "clearway compare run/ --truth truth.json\nclearway compare run-a/ run-b/ --json\n";
  }
  std::string_view description() const override {
    return "The numbering of experts is arbitrary, so the fitted experts are first put into the order in which the "
           "largest regressor error is least. With different numbers of experts there is no such order; the Voronoi "
           "cells then say which fitted experts share a true one.\n\n"
           "The truth file is that of clearway simulate, or the plain form with the keys kind, K, D, gate, expert and "
           "sigma.";
  }

  void options(OptionList& list) override {
    list.argument("run", run_, "run folder of clearway fit");
    list.argument("other", other_, "a second run folder, in place of --truth", false);
    list.group("Comparison");
    list.add(options_);
  }

  ExitCode run(Context& context) override {
    if (options_.truth.empty() == other_.empty())
      user_error("compare needs one thing to compare with: --truth FILE or a second run folder");
    const SavedModel saved = saved_model(run_);
    const MixtureModel& fitted = saved.model;
    std::string title;
    Comparison comparison;
    if (other_.empty()) {
      const Truth truth = parse_truth(read_file(options_.truth), options_.truth);
      comparison = compare(fitted, truth.model);
      title = fmt::format("{} against {} ({})", run_, options_.truth, truth.scenario);
    } else {
      const SavedModel other = saved_model(other_);
      comparison = compare(fitted, other.model);
      note_other_names(saved.recipe, other.recipe, comparison.notes);
      title = fmt::format("{} against {} (taken as the truth)", run_, other_);
    }
    if (context.common.json) {
      context.console.print(json_text(to_json(comparison)));
    } else {
      context.console.print(to_text(comparison, title, context.table_digits()));
    }
    return ExitCode::success;
  }

 private:
  std::string run_;
  std::string other_;
  CompareOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_compare_command() {
  return std::make_unique<CompareCommand>();
}

}  // namespace clearway::cli
