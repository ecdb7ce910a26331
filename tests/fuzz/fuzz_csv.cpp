// Any bytes are a table or a std::invalid_argument; and a table that was read is written and read back equal.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "clearway/io/csv.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool equal(const clearway::Column& a, const clearway::Column& b) {
  if (a.name != b.name || a.is_text != b.is_text || a.missing != b.missing || a.levels != b.levels ||
      a.codes != b.codes || a.numbers.size() != b.numbers.size())
    return false;
  for (std::size_t i = 0; i < a.numbers.size(); ++i)
    if (!(a.numbers[i] == b.numbers[i] || (std::isnan(a.numbers[i]) && std::isnan(b.numbers[i])))) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clearway;
  if (size == 0) return 0;
  // The first byte chooses the options.
  CsvOptions options;
  options.separator = static_cast<CsvSeparator>(data[0] % 6);
  options.header = static_cast<CsvHeader>(data[0] / 6 % 3);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  Table table;
  try {
    table = read_csv_text(text, options);
  } catch (const std::invalid_argument&) {
    return 0;
  }
  require(table.rows > 0 && !table.columns.empty() && table.first_line.size() == table.rows);
  for (const Column& column : table.columns) {
    require(column.rows() == table.rows && !column.name.empty());
    for (const int code : column.codes) require(code >= -1 && code < static_cast<int>(column.levels.size()));
    if (column.is_text) (void)table.place(column.first_text_row, column);
  }
  // Names and words are written as they are, so a table of one column needs its separator told.
  CsvOptions plain;
  plain.separator = CsvSeparator::comma;
  plain.header = CsvHeader::yes;
  const Table back = read_csv_text(csv_text(table), plain);
  require(back.rows == table.rows && back.columns.size() == table.columns.size());
  for (std::size_t j = 0; j < table.columns.size(); ++j) require(equal(back.columns[j], table.columns[j]));
  return 0;
}
