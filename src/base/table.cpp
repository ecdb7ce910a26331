#include "clearway/base/table.hpp"

#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway {

bool Table::has_column(std::string_view name) const {
  return std::any_of(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
}

const Column& Table::column(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& c : columns) {
    if (c.name == name) return c;
    names.push_back(c.name);
  }
  user_error("{}: there is no column '{}'{}; the columns are {}", source.empty() ? "table" : source, name,
             did_you_mean(name, names), short_list(names));
}

std::string Table::place(std::size_t row, const Column& column) const {
  const auto position = static_cast<std::size_t>(&column - columns.data()) + 1;
  const bool has_lines = row < first_line.size();
  return fmt::format("{}: {} {}, column {} ('{}')", source.empty() ? "table" : source, has_lines ? "line" : "row",
                     has_lines ? first_line[row] : row + 1, position, column.name);
}

}  // namespace clearway
