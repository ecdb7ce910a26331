#include <algorithm>
#include <charconv>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/io/csv.hpp"
#include "clearway/io/file.hpp"

namespace clearway {

namespace {

constexpr std::string_view kMissing = "NA";

void append_number(std::string& out, double value, int significant_digits) {
  if (std::isnan(value)) {
    out += kMissing;
    return;
  }
  char buffer[64];
  char* const end = buffer + sizeof buffer;
  std::to_chars_result result{};
  if (significant_digits > 0)
    result = std::to_chars(buffer, end, value, std::chars_format::general, significant_digits);
  else if (std::fabs(value) < 1e15 && value == std::floor(value))  // 100000, not 1e+05
    result = std::to_chars(buffer, end, value, std::chars_format::fixed);
  else
    result = std::to_chars(buffer, end, value);
  out.append(buffer, result.ptr);
}

/// A cell of text, quoted where RFC 4180 asks for it, where the reader would trim blanks, and where the first bytes of a
/// file would be taken for a mark (byte order, gzip, zip).
void append_text(std::string& out, std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const auto is_special = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == ',' || c == ';' || c == '|' || c == '"';
  };
  const bool quote = text.empty() || std::any_of(text.begin(), text.end(), is_special) || is_blank(text.front()) ||
                     is_blank(text.back()) || text.front() == '\xEF';
  if (!quote) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void check_lengths(std::size_t rows, std::size_t found, const std::string& name) {
  if (rows != found)
    user_error("columns to write must have equal length: '{}' has {} rows, the first {}", name, found, rows);
}

template <class Sink>
void write_numbers(std::span<const NumberColumn> columns, const CsvWriteOptions& options, const Sink& sink) {
  check_options(options);
  if (columns.empty()) user_error("a table to write needs at least one column");
  const std::size_t rows = columns.front().numbers.size();
  std::string out;
  for (std::size_t j = 0; j < columns.size(); ++j) {
    check_lengths(rows, columns[j].numbers.size(), columns[j].name);
    if (j > 0) out += ',';
    append_text(out, columns[j].name);
  }
  out += '\n';
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns.size(); ++j) {
      if (j > 0) out += ',';
      append_number(out, columns[j].numbers[i], options.significant_digits);
    }
    out += '\n';
    sink(out, false);
  }
  sink(out, true);
}

template <class Sink>
void write_table(const Table& table, const CsvWriteOptions& options, const Sink& sink) {
  check_options(options);
  if (table.columns.empty()) user_error("a table to write needs at least one column");
  std::string out;
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    check_lengths(table.rows, table.columns[j].rows(), table.columns[j].name);
    if (j > 0) out += ',';
    append_text(out, table.columns[j].name);
  }
  out += '\n';
  for (std::size_t i = 0; i < table.rows; ++i) {
    for (std::size_t j = 0; j < table.columns.size(); ++j) {
      const Column& column = table.columns[j];
      if (j > 0) out += ',';
      if (!column.is_text)
        append_number(out, column.numbers[i], options.significant_digits);
      else if (column.codes[i] < 0)
        out += kMissing;
      else
        append_text(out, column.levels[static_cast<std::size_t>(column.codes[i])]);
    }
    out += '\n';
    sink(out, false);
  }
  sink(out, true);
}

/// Hands full buffers to a file.
auto file_sink(AtomicFile& file) {
  return [&file](std::string& out, bool last) {
    if (!last && out.size() < (std::size_t{1} << 16)) return;
    file.write(out);
    out.clear();
  };
}

}  // namespace

void write_csv(const std::string& path, std::span<const NumberColumn> columns, const CsvWriteOptions& options) {
  AtomicFile file(path);
  write_numbers(columns, options, file_sink(file));
  file.commit();
}

void write_csv(const std::string& path, const Table& table, const CsvWriteOptions& options) {
  AtomicFile file(path);
  write_table(table, options, file_sink(file));
  file.commit();
}

std::string csv_text(const Table& table, const CsvWriteOptions& options) {
  std::string text;
  write_table(table, options, [&text](std::string& out, bool last) {
    if (last) text = std::move(out);
  });
  return text;
}

}  // namespace clearway
