// Repeated measures: the column that says which rows belong together, and what a gate over groups can look at.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/design.hpp"
#include "design_terms.hpp"

namespace clearway::detail {

/// Group numbers from 0 by first appearance: rows with the same cell share one. The column has no missing cells in the
/// rows.
std::vector<int> group_numbers(const Column& column, const RowSelection& rows);

/// The terms whose columns do not vary within groups: what a gate over groups can look at.
std::vector<Term> constant_within_groups(const Table& table, const RowSelection& rows, const Column& id,
                                         const std::vector<Term>& terms);

/// Throws std::invalid_argument naming two lines of one group between which a gate term varies.
void refuse_varying_within_groups(const Table& table, const RowSelection& rows, const Column& id,
                                  const std::vector<Term>& terms);

}  // namespace clearway::detail
