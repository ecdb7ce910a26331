// Attributes of alternatives (conditional logit) in a design: one column for each class, named NAME_<class>.
#pragma once

#include "clearway/stat/design.hpp"

namespace clearway::detail {

/// Names of columns that may carry an attribute of that choice: NAME_<class> for every class of the target.
std::vector<std::string> attribute_columns(const Table& table, const ColumnChoice& choice);

/// The terms of the attributes, attribute by attribute one for each class: "log(price)*income" becomes
/// "log(price_bus)*income" and so on. Throws std::invalid_argument naming the first column that is missing.
std::vector<Term> attribute_terms(Table& table, const ColumnChoice& choice, const std::vector<std::string>& classes);

/// Refuses attributes whose differences between the classes are taken up by the constants and the other inputs; returns
/// a sentence for every attribute that the others determine.
std::vector<std::string> check_attributes(const Design& design);

}  // namespace clearway::detail
