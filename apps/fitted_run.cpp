#include "fitted_run.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "clearway/base/errors.hpp"

namespace clearway::cli {

FittedRun load_fitted_run(const std::string& path) {
  FittedRun run;
  if (std::filesystem::is_regular_file(path)) {
    run.saved = model_from_json(read_json(path), path);
  } else {
    run.folder = RunFolder::open(path);
    run.saved = model_from_json(run.folder->read_json("model.json"), run.folder->file("model.json"));
    if (run.folder->has("config.json")) {
      run.config = run.folder->read_json("config.json");
      // clearway select lists the kinds of experts; as an option they are one text.
      if (const auto kinds = run.config->find("expert"); kinds != run.config->end() && kinds->is_array())
        *kinds = fmt::format("{}", fmt::join(kinds->get<std::vector<std::string>>(), ","));
      options_from_config(*run.config, run.options, run.folder->file("config.json"));
    }
  }
  const MixtureModel& model = run.saved.model;
  run.options.experts = model.expert_count();
  run.options.gate = model.gate.spec();
  run.options.expert = model.experts.front().spec();
  run.options.expert_kinds.clear();
  for (const Expert& expert : model.experts) run.options.expert_kinds.push_back(expert.spec().kind);
  if (run.options.distinct_kinds().size() == 1) run.options.expert_kinds.resize(1);
  run.options.constraints = model.constraints;
  run.options.noise = model.has_noise ? NoiseKind::uniform : NoiseKind::none;
  return run;
}

ColumnChoice columns_of(const FittedRun& run, const std::string& path) {
  if (!run.config) user_error("{}: there is no config.json that says which columns the model was fitted to", path);
  ColumnChoice columns;
  options_from_config(*run.config, columns, run.folder->file("config.json"));
  return columns;
}

ConstraintChoice constraint_choice_of(const FittedRun& run) {
  ConstraintChoice choice;
  if (run.config) options_from_config(*run.config, choice, run.folder->file("config.json"));
  return choice;
}

Constraints constraints_of(const ConstraintChoice& choice, const FitOptions& options, const Design& design) {
  const ModelNames names = names_of(design);
  return find_constraints(
      choice, Gate(options.gate, static_cast<int>(design.data.gate_inputs.cols()), options.experts),
      Expert(options.expert, static_cast<int>(design.data.expert_inputs.cols()),
             static_cast<int>(design.data.response.cols()), design.data.classes, design.data.attributes),
      names.gate_inputs, names.expert_inputs, design.response_names);
}

ModelNames names_of(const Design& design) {
  ModelNames names;
  names.responses = design.recipe.target;
  if (has_classes(design.recipe.expert)) names.classes = design.response_names;
  names.expert_inputs = design.recipe.coefficient_names();
  names.gate_inputs = design.gate_names;
  return names;
}

Design design_with_response(const DesignRecipe& recipe, Table table, MissingPolicy missing, const char* what) {
  const std::string source = table.source;
  for (const std::string& target : recipe.target)
    if (!table.has_column(target) &&
        std::find(recipe.computed.begin(), recipe.computed.end(), target) == recipe.computed.end())
      user_error("{}: {} needs the response '{}' in the table", source, what, target);
  Design design = apply_recipe(recipe, std::move(table), missing);
  if (!design.has_response)  // an expression without all of its columns
    user_error("{}: {} needs the response {}, so the columns it is made of", source, what,
               fmt::join(recipe.target, ", "));
  return design;
}

std::vector<int> category_numbers(const Table& table, const std::string& column, const std::vector<std::size_t>& rows) {
  const Column& cells = table.column(column);
  std::map<double, int> seen;
  std::vector<int> numbers;
  numbers.reserve(rows.size());
  for (const std::size_t row : rows) {
    if (cells.is_text ? cells.codes[row] < 0 : std::isnan(cells.numbers[row]))
      user_error("{}: a cell that names a cluster is missing", table.place(row, cells));
    const double cell = cells.is_text ? cells.codes[row] : cells.numbers[row];
    numbers.push_back(seen.try_emplace(cell, static_cast<int>(seen.size())).first->second);
  }
  return numbers;
}

}  // namespace clearway::cli
