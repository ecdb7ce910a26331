// Tables as comma-separated values (RFC 4180, read by libcsv): strict where silence would spoil a result.
//
// A column is numeric when every cell that is not missing is a number (std::from_chars; with a decimal comma where the
// options say so), else text. Rows
// are never dropped: a row of the wrong length, an unclosed quotation mark, an infinite number or bytes that are not
// text end the reading with a message that names the line and the column. Blank lines are skipped.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/base/table.hpp"

namespace clearway {

enum class CsvSeparator { automatic, comma, semicolon, tab, pipe, blank };
inline std::span<const EnumName<CsvSeparator>> enum_names(CsvSeparator) {
  static constexpr std::array<EnumName<CsvSeparator>, 6> names{{
      {CsvSeparator::automatic, "auto", "the one that the first lines agree on"},
      {CsvSeparator::comma, "comma", ","},
      {CsvSeparator::semicolon, "semicolon", ";"},
      {CsvSeparator::tab, "tab", "tabulator"},
      {CsvSeparator::pipe, "pipe", "|"},
      {CsvSeparator::blank, "blank",
       "blanks and tabulators, any number of them; names of rows, as R writes them, are skipped"},
  }};
  return names;
}

enum class CsvHeader { automatic, yes, no };
inline std::span<const EnumName<CsvHeader>> enum_names(CsvHeader) {
  static constexpr std::array<EnumName<CsvHeader>, 3> names{{
      {CsvHeader::automatic, "auto", "the first line holds names; an error when it holds only numbers"},
      {CsvHeader::yes, "yes", "the first line holds names, even when they are numbers"},
      {CsvHeader::no, "no", "no names: the columns are called V1, V2, ..."},
  }};
  return names;
}

enum class DecimalMark { point, comma };
inline std::span<const EnumName<DecimalMark>> enum_names(DecimalMark) {
  static constexpr std::array<EnumName<DecimalMark>, 2> names{{
      {DecimalMark::point, "point", "1.5"},
      {DecimalMark::comma, "comma", "1,5; a point in a number is refused, because 1.500 may mean 1500"},
  }};
  return names;
}

/// How to read a table.
struct CsvOptions {
  CsvSeparator separator = CsvSeparator::automatic;
  CsvHeader header = CsvHeader::automatic;
  DecimalMark decimal = DecimalMark::point;
  /// Cells that mean "missing"; an empty cell always does. Quotation marks make no difference.
  std::vector<std::string> missing_values = {"NA", "N/A", "NaN", "nan", "NULL", "null", "?"};
  std::vector<std::string> as_text = {};  ///< columns that are text whatever they hold: names made of digits

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("separator", self.separator, OptionInfo{.help = "what separates the cells of the table"});
    field("header", self.header, OptionInfo{.help = "whether the first line of the table names the columns"});
    field("decimal", self.decimal, OptionInfo{.help = "how the numbers of the table are written"});
    field("missing-values", self.missing_values,
          OptionInfo{.help = "cells that mean missing, beside empty ones", .metavar = "WORD"});
  }
};

/// Reads a table from a file, or from standard input for "-". Numeric columns are held as doubles and nothing else, so
/// that a table of n rows and d numeric columns takes 8 n (d + 1) bytes.
/// Throws std::invalid_argument for anything wrong with the table, std::runtime_error when reading fails.
Table read_csv(const std::string& path, const CsvOptions& options = {});

/// Reads a table in chunks of at most `rows` rows, in order; `visit` gets each and returns false to stop. What a column
/// holds, numbers or text, is decided by the first chunk; a later cell of another kind: std::invalid_argument.
void read_csv_in_chunks(const std::string& path, const CsvOptions& options, std::size_t rows,
                        const std::function<bool(Table)>& visit);

/// Reads a table from memory; `source` names it in messages.
Table read_csv_text(std::string_view text, const CsvOptions& options = {}, std::string source = "text");

/// How to write a table.
struct CsvWriteOptions {
  int significant_digits = 0;  ///< 0: the shortest text that reads back as the same double

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("sig-figs", self.significant_digits,
          OptionInfo{.help = "significant digits; 0 writes the shortest text that reads back exactly",
                     .minimum = 0,
                     .maximum = 17,
                     .off = "0"});
  }
};

/// One named column of numbers, seen and not owned (a column of a column-major matrix, say).
struct NumberColumn {
  std::string name;
  std::span<const double> numbers;
};

/// Writes columns of equal length; NaN is written as NA. The file appears only when complete; "-" is standard output.
void write_csv(const std::string& path, std::span<const NumberColumn> columns, const CsvWriteOptions& options = {});

/// Writes a table. What read_csv() accepts comes back equal, lines aside: names, types, numbers, levels, missing cells.
void write_csv(const std::string& path, const Table& table, const CsvWriteOptions& options = {});

/// The text that write_csv() would write.
std::string csv_text(const Table& table, const CsvWriteOptions& options = {});

}  // namespace clearway
