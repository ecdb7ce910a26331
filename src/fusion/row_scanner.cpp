#include "clearway/fusion/row_scanner.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway::fusion {

namespace {

constexpr double kLargestWhole = 9007199254740992.0;  // doubles count without gaps up to here

char separator_of(CsvSeparator separator, std::string_view text) {
  switch (separator) {
    case CsvSeparator::comma:
      return ',';
    case CsvSeparator::semicolon:
      return ';';
    case CsvSeparator::tab:
      return '\t';
    case CsvSeparator::pipe:
      return '|';
    case CsvSeparator::blank:
      user_error("separator blank is for wide sources; write a long one with commas or tabulators");
    case CsvSeparator::automatic:
      break;
  }
  const std::string_view line = text.substr(0, text.find('\n'));
  constexpr std::array<char, 4> kCandidates{',', ';', '\t', '|'};
  return *std::max_element(kCandidates.begin(), kCandidates.end(), [&](char a, char b) {
    return std::count(line.begin(), line.end(), a) < std::count(line.begin(), line.end(), b);
  });
}

std::string_view trimmed(std::string_view cell) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!cell.empty() && blank(cell.front())) cell.remove_prefix(1);
  while (!cell.empty() && blank(cell.back())) cell.remove_suffix(1);
  return cell;
}

}  // namespace

RowScanner::RowScanner(std::string_view text, std::string source, CsvSeparator separator)
    : rest_(text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text),
      source_(std::move(source)),
      separator_(separator_of(separator, rest_)) {}

bool RowScanner::next() {
  unescaped_.clear();
  for (;;) {  // until a line is not blank
    if (rest_.empty()) return false;
    cells_.clear();
    row_line_ = line_;
    for (bool row_goes_on = true; row_goes_on;) {
      if (!rest_.empty() && rest_.front() == '"') {
        cells_.push_back(quoted_cell());
      } else {
        const char* begin = rest_.data();
        const char* end = begin + rest_.size();
        const char* at = begin;
        while (at != end && *at != separator_ && *at != '\n') ++at;
        std::string_view cell(begin, static_cast<std::size_t>(at - begin));
        rest_.remove_prefix(cell.size());
        if ((at == end || *at == '\n') && cell.ends_with('\r')) cell.remove_suffix(1);
        cells_.push_back(cell);
      }
      row_goes_on = !rest_.empty() && rest_.front() == separator_;
      if (!rest_.empty()) rest_.remove_prefix(1);  // separator or line feed
    }
    ++line_;
    if (cells_.size() > 1 || !trimmed(cells_.front()).empty()) break;
  }
  if (width_ == 0) width_ = cells_.size();
  if (cells_.size() != width_)
    user_error("{}: line {} has {}, expected {} as in the first row", source_, row_line_, plural(cells_.size(), "cell"),
               width_);
  return true;
}

std::string_view RowScanner::quoted_cell() {
  std::size_t at = 1;
  bool doubled = false;
  for (;;) {
    at = rest_.find('"', at);
    if (at == std::string_view::npos)
      user_error("{}: line {}, column {}: the quoted cell that begins here is never closed", source_, line_,
                 cells_.size() + 1);
    if (at + 1 >= rest_.size() || rest_[at + 1] != '"') break;
    doubled = true;
    at += 2;
  }
  std::string_view cell = rest_.substr(1, at - 1);
  const std::size_t lines = static_cast<std::size_t>(std::count(cell.begin(), cell.end(), '\n'));
  rest_.remove_prefix(at + 1);
  if (rest_.starts_with("\r\n") || rest_ == "\r") rest_.remove_prefix(1);
  if (!rest_.empty() && rest_.front() != separator_ && rest_.front() != '\n')
    user_error("{}: line {}, column {}: text after the closing quotation mark", source_, line_ + lines,
               cells_.size() + 1);
  line_ += lines;
  if (!doubled) return cell;
  std::string& text = unescaped_.emplace_back();
  for (std::size_t i = 0; i < cell.size(); ++i) {
    text += cell[i];
    if (cell[i] == '"') ++i;
  }
  return text;
}

bool read_finite(std::string_view cell, double& value) {
  cell = trimmed(cell);
  if (cell.size() > 1 && cell.front() == '+' && cell[1] != '-') cell.remove_prefix(1);
  const char* end = cell.data() + cell.size();
  const auto [stop, error] = std::from_chars(cell.data(), end, value);
  return !cell.empty() && stop == end && error == std::errc() && std::isfinite(value);
}

std::string canonical_name(std::string_view cell) {
  double value = 0;
  if (!read_finite(cell, value) || std::abs(value) > kLargestWhole) return std::string(trimmed(cell));
  return fmt::format("{}", value == 0 ? 0.0 : value);
}

std::string canonical_id(std::string_view cell) {
  cell = trimmed(cell);
  const std::size_t point = cell.find('.');
  const auto only = [](std::string_view text, std::string_view letters) {
    return text.find_first_not_of(letters) == std::string_view::npos;
  };
  if (point == std::string_view::npos || point == 0 || !only(cell.substr(0, point), "0123456789") ||
      !only(cell.substr(point + 1), "0"))
    return std::string(cell);
  return std::string(cell.substr(0, point));
}

}  // namespace clearway::fusion
