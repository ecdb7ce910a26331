#include "design_groups.hpp"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <unordered_map>

#include "clearway/base/errors.hpp"

namespace clearway::detail {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

bool same_cell(const Column& column, std::size_t a, std::size_t b) {
  return column.is_text ? column.codes[a] == column.codes[b] : column.numbers[a] == column.numbers[b];
}

/// For every row, the first row (index into the table) of its group.
std::vector<std::size_t> leaders(const Column& id, const RowSelection& rows) {
  const std::vector<int> group = group_numbers(id, rows);
  std::vector<std::size_t> leader_of_group, leader(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<std::size_t>(group[i]) == leader_of_group.size()) leader_of_group.push_back(rows[i]);
    leader[i] = leader_of_group[static_cast<std::size_t>(group[i])];
  }
  return leader;
}

/// Index of the first row in which the column differs from the leader of its group, or kNone.
std::size_t first_difference(const Column& column, const RowSelection& rows, const std::vector<std::size_t>& leader) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (!same_cell(column, rows[i], leader[i])) return i;
  return kNone;
}

}  // namespace

std::vector<int> group_numbers(const Column& column, const RowSelection& rows) {
  std::vector<int> group(rows.size());
  const auto number_all = [&](const auto& cells) {
    std::unordered_map<typename std::decay_t<decltype(cells)>::value_type, int> number;
    for (std::size_t i = 0; i < rows.size(); ++i)
      group[i] = number.try_emplace(cells[rows[i]], static_cast<int>(number.size())).first->second;
  };
  if (column.is_text)
    number_all(column.codes);
  else
    number_all(column.numbers);
  return group;
}

std::vector<Term> constant_within_groups(const Table& table, const RowSelection& rows, const Column& id,
                                         const std::vector<Term>& terms) {
  const std::vector<std::size_t> leader = leaders(id, rows);
  std::vector<Term> constant;
  std::copy_if(terms.begin(), terms.end(), std::back_inserter(constant), [&](const Term& term) {
    return std::all_of(term.factors.begin(), term.factors.end(), [&](const Factor& factor) {
      return first_difference(table.column(factor.column), rows, leader) == kNone;
    });
  });
  return constant;
}

void refuse_varying_within_groups(const Table& table, const RowSelection& rows, const Column& id,
                                  const std::vector<Term>& terms) {
  const std::vector<std::size_t> leader = leaders(id, rows);
  for (const Term& term : terms)
    for (const Factor& factor : term.factors) {
      const Column& column = table.column(factor.column);
      const std::size_t i = first_difference(column, rows, leader);
      if (i != kNone)
        user_error(
            "gate-on: '{}' varies within a group ({} and {} have the same '{}'); with --id the gate weighs groups, so "
            "its inputs must be the same for all rows of one",
            factor.column, table.place(leader[i], column), table.place(rows[i], column), id.name);
    }
}

}  // namespace clearway::detail
