// The response of a design, checked for the kind of expert that has to explain it.
#pragma once

#include "clearway/stat/design.hpp"
#include "design_terms.hpp"

namespace clearway::detail {

/// Fills data.response, and classes and trials where the kind has them. While fitting it decides the classes and writes
/// them into the recipe; with `fitted` the recipe's classes hold and missing cells of the target become NaN.
void fill_response(const Table& table, const RowSelection& rows, bool fitted, DesignRecipe& recipe, Design& design);

/// The classes of a target: levels that occur in the rows. Throws unless there are two of them or more, words or whole
/// numbers.
std::vector<std::string> classes_of(const Table& table, const Column& column, const RowSelection& rows,
                                    ExpertKind kind);

/// Which responses were observed and which lie beyond a limit: data.event (empty when nothing says so); responses beyond
/// a limit are set to it.
void fill_event(const Table& table, const RowSelection& rows, const DesignRecipe& recipe, Design& design);

}  // namespace clearway::detail
