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

  // What a reader noticed in a text column, so that a message can say why a column is not numeric.
  std::size_t number_cells = 0;     ///< cells that do read as a number
  std::size_t first_text_row = 0;   ///< row of the first cell that is neither missing nor a number
  bool has_decimal_commas = false;  ///< every such cell looks like a number with a comma: "1,5"

  std::size_t rows() const { return is_text ? codes.size() : numbers.size(); }
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
  /// Where a cell stands, for messages: "data.csv: line 17, column 3 ('age')", or "data.csv: row 16, column ..." when
  /// the table did not come from a file. Lines, rows and columns are counted from 1.
  std::string place(std::size_t row, const Column& column) const;
};

}  // namespace clearway
