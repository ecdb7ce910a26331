#include "blank_separated.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "csv_column_builder.hpp"

namespace clearway::detail {

namespace {

constexpr std::size_t kStart = std::size_t{1} << 16;  // the first two lines are within
constexpr std::size_t kLines = 20;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool ends_line(char c) {
  return c == '\n' || c == '\r';
}

/// Cells of the first lines that are not blank, without quotation marks; a last line without end is left out where `cut`.
std::vector<std::vector<std::string>> first_lines(std::string_view text, bool cut) {
  std::vector<std::vector<std::string>> lines;
  std::vector<std::string> cells;
  bool quoted = false, in_cell = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted || (!is_blank(c) && !ends_line(c))) {
      if (!in_cell) cells.emplace_back();
      in_cell = true;
      if (c != '"') cells.back() += c;
      continue;
    }
    in_cell = false;
    if (!ends_line(c) || cells.empty()) continue;
    lines.push_back(std::move(cells));
    cells.clear();
    if (lines.size() == kLines) return lines;
  }
  if (!cut && !cells.empty()) lines.push_back(std::move(cells));
  return lines;
}

}  // namespace

bool looks_blank_separated(std::string_view start) {
  const auto lines = first_lines(start.substr(0, kStart), start.size() > kStart);
  if (lines.size() < 2 || lines.front().size() < 2) return false;
  const std::size_t cells = lines[1].size(), names = lines.front().size();
  const bool agree =
      std::all_of(lines.begin() + 1, lines.end(), [&](const auto& line) { return line.size() == cells; });
  return agree && (cells == names || cells == names + 1) &&
         std::any_of(lines[1].begin(), lines[1].end(), [](const std::string& cell) {
           double value = 0;
           return read_number(cell, value) != NumberKind::none;
         });
}

BlankSeparated::BlankSeparated(ByteSource& from) : from_(from) {
  std::string start(kStart, '\0');
  start.resize(from_.read(start.data(), start.size()));
  const auto lines = first_lines(start, start.size() == kStart);
  row_names_ = lines.size() > 1 && lines[1].size() == lines[0].size() + 1;
  from_.rewind();
}

void BlankSeparated::rewind() {
  from_.rewind();
  ready_.clear();
  quoted_ = pending_ = any_cell_ = dropping_ = false;
  line_begins_ = first_line_ = true;
}

void BlankSeparated::convert(char c) {
  if (c == '"') quoted_ = !quoted_;
  const bool outside = !quoted_ && c != '"';
  if (outside && ends_line(c)) {
    first_line_ = first_line_ && !any_cell_;
    pending_ = any_cell_ = dropping_ = false;
    line_begins_ = true;
    ready_ += c;
    return;
  }
  if (outside && is_blank(c)) {
    pending_ = !line_begins_;
    dropping_ = false;
    return;
  }
  if (row_names_ && !first_line_ && !any_cell_) dropping_ = true;
  any_cell_ = true;
  if (dropping_) return;
  if (pending_) ready_ += '\t';
  pending_ = line_begins_ = false;
  ready_ += c;
}

std::size_t BlankSeparated::read(char* buffer, std::size_t size) {
  std::string raw;
  while (ready_.size() < size) {
    raw.resize(size);
    raw.resize(from_.read(raw.data(), raw.size()));
    for (const char c : raw) convert(c);
    if (raw.size() < size) break;
  }
  const std::size_t count = std::min(size, ready_.size());
  std::copy_n(ready_.begin(), count, buffer);
  ready_.erase(0, count);
  return count;
}

}  // namespace clearway::detail
