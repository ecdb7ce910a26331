// Builds one column while cells stream by: numbers until a cell is none, then text.
//
// A numeric column keeps doubles only. When a column turns out to be text after some of its cells were stored as
// numbers, their spelling is gone ("01" or "1"?), and the builder asks for a second reading, in which it is text from
// the first row on. A text column whose first cell already is text (the usual case) needs none.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/io/csv.hpp"

namespace clearway::detail {

/// The markers of missing cells, with a quick answer for cells that cannot be one.
class MissingMarkers {
 public:
  explicit MissingMarkers(const std::vector<std::string>& markers);
  bool operator()(std::string_view cell) const;

 private:
  std::vector<std::string> markers_;
  std::array<bool, 256> first_byte_{};
};

/// A cell without the blanks around it.
std::string_view trimmed(std::string_view cell);

enum class NumberKind { none, finite, infinite };

/// Reads a number as from_chars does, with blanks around it and a leading '+' allowed. "inf" and numbers beyond the
/// range of double are infinite; "nan" is none. With a decimal comma a point makes it none.
NumberKind read_number(std::string_view cell, double& value, DecimalMark decimal = DecimalMark::point);

/// Whether a cell looks like a number written with a comma: "1,5", "-1,234.5".
bool looks_like_decimal_comma(std::string_view cell);

/// Whether bytes are UTF-8 without NUL.
bool is_utf8_text(std::string_view bytes);

class ColumnBuilder {
 public:
  explicit ColumnBuilder(std::string name, DecimalMark decimal = DecimalMark::point) : decimal_(decimal) {
    column_.name = std::move(name);
  }

  const std::string& name() const { return column_.name; }
  void reserve(std::size_t rows) {
    if (!column_.is_text) column_.numbers.reserve(rows);
  }
  /// Adds the cell of the next row. Returns an empty string, or what is wrong with the cell.
  std::string add(std::string_view cell, const MissingMarkers& missing);

  /// Whether the column became text after numbers had been stored.
  bool needs_second_reading() const { return column_.is_text && lost_spelling_; }
  /// Forgets the cells, keeps the name and what was noticed, and takes every cell as text from now on.
  void restart_as_text();

  /// Row of the first infinite cell of a numeric column, or npos.
  std::size_t first_infinite_row() const { return column_.is_text ? npos : first_infinite_row_; }
  const std::string& first_infinite_cell() const { return first_infinite_cell_; }

  /// The finished column; the builder is empty afterwards.
  Column finish();

  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

 private:
  void add_missing();
  std::string add_text(std::string_view cell);
  void become_text();

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  Column column_;
  DecimalMark decimal_;
  std::unordered_map<std::string, int, Hash, std::equal_to<>> codes_;
  std::size_t row_ = 0;
  std::size_t text_cells_ = 0;
  std::size_t comma_cells_ = 0;
  bool lost_spelling_ = false;
  bool second_reading_ = false;
  std::size_t first_infinite_row_ = npos;
  std::string first_infinite_cell_;
};

}  // namespace clearway::detail
