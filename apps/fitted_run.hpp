// A fitted model with what belongs to it: how columns become its inputs, and the options it was fitted with. What
// commands that work on a finished fit read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/io/csv.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/stat/constraints.hpp"
#include "clearway/stat/fit.hpp"
#include "clearway/stat/summary.hpp"
#include "model_json.hpp"
#include "own_options.hpp"

namespace clearway::cli {

struct FittedRun {
  SavedModel saved;
  FitOptions options;          ///< of the run's config.json where there is one; kinds are always those of the model
  std::optional<Json> config;  ///< config.json
  std::optional<RunFolder> folder;
};

/// `path` is a run folder of clearway fit, or a model.json alone (then the options are the defaults).
FittedRun load_fitted_run(const std::string& path);

/// The columns that a run was fitted to, for a command that changes some of them. Throws std::invalid_argument for a
/// model.json alone.
ColumnChoice columns_of(const FittedRun& run, const std::string& path);

/// The fixed and shared parameters that a run was fitted with, by name; none for a model.json alone.
ConstraintChoice constraint_choice_of(const FittedRun& run);

/// The named parameters in the model that those options fit to that design.
Constraints constraints_of(const ConstraintChoice& choice, const FitOptions& options, const Design& design);

/// Names for the model of a design.
ModelNames names_of(const Design& design);

/// The rows of a table for the model of a run, the response among them. `what` names the command's need in the error
/// for a table without the response.
Design design_with_response(const DesignRecipe& recipe, Table table, MissingPolicy missing, const char* what);

/// Numbers 0, 1, ... for the distinct cells of a column, one per row of `rows`. A missing cell is an error.
std::vector<int> category_numbers(const Table& table, const std::string& column, const std::vector<std::size_t>& rows);

}  // namespace clearway::cli
