// A table of named columns as it came from a file: numbers or text, with missing cells. It knows no model.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace clearway {

/// One named column. A numeric column fills `numbers` (missing cells are NaN and listed in `missing`); a text column
/// fills `levels` and `codes` (index into levels; -1 for a missing cell). Levels are sorted by bytes, so that the coding
/// does not depend on the order of the rows.
struct Column {
  std::string name;
  bool is_text = false;
  std::vector<double> numbers;
  std::vector<std::string> levels;
  std::vector<int> codes;
  std::vector<std::size_t> missing;  ///< row indices (from 0) of missing cells, increasing
};

/// A table: columns of equal length. `first_line[i]` is the line of the file on which row i starts (for messages);
/// empty when the table did not come from a file.
struct Table {
  std::string source;  ///< file name for messages, or "standard input"
  std::size_t rows = 0;
  std::vector<Column> columns;
  std::vector<std::size_t> first_line;

  /// The column of that name. Throws std::invalid_argument that lists the names and the nearest one.
  const Column& column(std::string_view name) const;
  bool has_column(std::string_view name) const;
};

}  // namespace clearway
