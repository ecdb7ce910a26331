// Rows of a CSV in memory, cell by cell without copying: for long tables of millions of short rows, where building a
// Table would be most of the work. RFC 4180 with LF or CR LF; blank lines are skipped.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/io/csv.hpp"

namespace clearway::fusion {

class RowScanner {
 public:
  /// `text` must outlive the scanner; `source` names it in messages. The separator `automatic` is the most frequent
  /// candidate of the first line.
  RowScanner(std::string_view text, std::string source, CsvSeparator separator = CsvSeparator::automatic);

  /// Goes to the next row; false at the end. Throws std::invalid_argument for quotation marks that do not match and for
  /// rows that have another number of cells than the first.
  bool next();
  /// The cells of the present row, without quotation marks; valid until the next call of next().
  const std::vector<std::string_view>& cells() const { return cells_; }
  /// Line on which the present row begins, from 1.
  std::size_t line() const { return row_line_; }
  const std::string& source() const { return source_; }

 private:
  std::string_view quoted_cell();

  std::string_view rest_;
  std::string source_;
  char separator_;
  std::vector<std::string_view> cells_;
  std::deque<std::string> unescaped_;  ///< cells of the present row that held "" marks
  std::size_t line_ = 1;
  std::size_t row_line_ = 0;
  std::size_t width_ = 0;
};

/// A finite number with blanks around it and a leading '+' allowed; false when the cell is none.
bool read_finite(std::string_view cell, double& value);

/// The one spelling of a name or category: numbers as their shortest decimal form ("07" and "7.0" are "7"), other text
/// without blanks around it.
std::string canonical_name(std::string_view cell);

/// The one spelling of an id: as it is, without blanks around it, and without the zeros that a whole number gets where it
/// was once a float ("17.0" is "17"). Leading zeros, "1e3" and digits beyond 2^53 stay: they are names, not numbers.
std::string canonical_id(std::string_view cell);

}  // namespace clearway::fusion
