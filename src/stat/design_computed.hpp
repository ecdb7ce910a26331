// Columns computed from others: "log(y)", "log(x + 1)", "weight/height^2". A table gets them before a design reads it, so
// that response, offset, trials and terms can be expressions as well as columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/stat/design.hpp"

namespace clearway::detail {

/// The text without blanks outside backticks: the name of the column it computes.
std::string computed_name(std::string_view expression);

/// The columns that an expression names, in order; empty when the text is no expression or names none.
std::vector<std::string> names_in_expression(const std::string& expression);

/// The same where the table holds all of them and no column of that very name; else empty.
std::vector<std::string> sources_of(const Table& table, const std::string& expression);

/// Adds the column computed_name(expression) and returns that name. The columns it names must be there. Throws
/// std::invalid_argument naming line and expression where a column holds text or a value is not finite. A cell is missing
/// where one of its sources is.
std::string add_computed_column(const std::string& expression, Table& table);

/// Why a text that was meant as a column or an expression is neither: names the column it lacks and the nearest one.
std::string why_no_expression(const Table& table, const std::string& text);

/// Every column that takes part in the response, the offset or the number of trials, computed ones by their sources: they
/// are no inputs unless asked for.
std::vector<std::string> columns_with_a_part(const Table& table, const ColumnChoice& choice);

/// cbind(successes, failures): a binomial target of two columns is the first of them with their sum as trials.
ColumnChoice with_binomial_pair(const Table& table, ColumnChoice choice, ExpertKind expert);

/// Computes the target, the offset and the number of trials where they are expressions, and names them so in the choice.
void compute_parts(ColumnChoice& choice, Table& table);

/// Computes what a recipe needs and the table lacks. A response whose columns are absent stays absent; anything else that
/// cannot be computed: std::invalid_argument naming the column.
void compute_columns(const DesignRecipe& recipe, Table& table);

}  // namespace clearway::detail
