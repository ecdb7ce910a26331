#include "csv_column_builder.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "clearway/base/text.hpp"

namespace clearway::detail {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

MissingMarkers::MissingMarkers(const std::vector<std::string>& markers) {
  for (const auto& marker : markers) {
    if (marker.empty()) continue;  // an empty cell is missing anyway
    markers_.push_back(marker);
    first_byte_[static_cast<unsigned char>(marker.front())] = true;
  }
}

bool MissingMarkers::operator()(std::string_view cell) const {
  if (cell.empty()) return true;
  if (!first_byte_[static_cast<unsigned char>(cell.front())]) return false;
  return std::find(markers_.begin(), markers_.end(), cell) != markers_.end();
}

std::string_view trimmed(std::string_view cell) {
  while (!cell.empty() && is_blank(cell.front())) cell.remove_prefix(1);
  while (!cell.empty() && is_blank(cell.back())) cell.remove_suffix(1);
  return cell;
}

NumberKind read_number(std::string_view cell, double& value, DecimalMark decimal) {
  cell = trimmed(cell);
  std::string with_point;
  if (decimal == DecimalMark::comma) {
    if (cell.find('.') != std::string_view::npos) return NumberKind::none;
    if (cell.find(',') != std::string_view::npos) {
      with_point = cell;
      with_point[with_point.find(',')] = '.';
      cell = with_point;
    }
  }
  if (cell.empty()) return NumberKind::none;
  if (cell.front() == '+') {
    cell.remove_prefix(1);
    if (cell.empty() || cell.front() == '-') return NumberKind::none;
  }
  const char* end = cell.data() + cell.size();
  const auto [stop, error] = std::from_chars(cell.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) return NumberKind::none;
  if (error == std::errc::result_out_of_range) {  // too large, or so small that it rounds to zero or a subnormal
    value = std::strtod(std::string(cell).c_str(), nullptr);
    return std::isinf(value) ? NumberKind::infinite : NumberKind::finite;
  }
  if (std::isnan(value)) return NumberKind::none;
  return std::isinf(value) ? NumberKind::infinite : NumberKind::finite;
}

bool looks_like_decimal_comma(std::string_view cell) {
  cell = trimmed(cell);
  if (!cell.empty() && (cell.front() == '-' || cell.front() == '+')) cell.remove_prefix(1);
  bool comma = false;
  bool digit_before = false;
  for (const char c : cell) {
    if (c == ',') {
      if (!digit_before) return false;
      comma = true;
    } else if (!is_digit(c) && c != '.') {
      return false;
    }
    digit_before = is_digit(c);
  }
  return comma && digit_before;
}

bool is_utf8_text(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = bytes.front() == '\0' ? 0 : utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string ColumnBuilder::add(std::string_view cell, const MissingMarkers& missing) {
  std::string problem;
  if (missing(cell)) {
    add_missing();
  } else if (column_.is_text && second_reading_) {
    problem = add_text(cell);
  } else {
    double value = 0.0;
    const NumberKind kind = read_number(cell, value, decimal_);
    if (kind == NumberKind::finite) ++column_.number_cells;
    if (!column_.is_text) {
      if (kind == NumberKind::none) {
        become_text();
      } else {
        if (kind == NumberKind::infinite && first_infinite_row_ == npos) {
          first_infinite_row_ = row_;
          first_infinite_cell_ = std::string(cell);
        }
        column_.numbers.push_back(value);
      }
    }
    if (column_.is_text) {
      if (kind == NumberKind::none) {
        ++text_cells_;
        if (decimal_ == DecimalMark::point && looks_like_decimal_comma(cell)) ++comma_cells_;
      }
      if (!lost_spelling_) problem = add_text(cell);
    }
  }
  ++row_;
  return problem;
}

void ColumnBuilder::add_missing() {
  column_.missing.push_back(row_);
  if (!column_.is_text)
    column_.numbers.push_back(std::numeric_limits<double>::quiet_NaN());
  else if (!lost_spelling_ || second_reading_)
    column_.codes.push_back(-1);
}

void ColumnBuilder::become_text() {
  column_.is_text = true;
  column_.first_text_row = row_;
  lost_spelling_ = column_.missing.size() < row_;
  std::vector<double>().swap(column_.numbers);
  if (!lost_spelling_) column_.codes.assign(row_, -1);
}

std::string ColumnBuilder::add_text(std::string_view cell) {
  auto found = codes_.find(cell);
  if (found == codes_.end()) {
    if (cell.find('\0') != std::string_view::npos) return "the cell holds a NUL byte: this is not a text file";
    if (!is_utf8_text(cell)) return "the cell is not UTF-8 text; convert the file, for example with iconv -f latin1";
    if (codes_.size() >= static_cast<std::size_t>(std::numeric_limits<int>::max())) return "too many different texts";
    found = codes_.emplace(std::string(cell), static_cast<int>(codes_.size())).first;
  }
  column_.codes.push_back(found->second);
  return {};
}

void ColumnBuilder::restart_as_text() {
  column_.is_text = true;
  std::vector<double>().swap(column_.numbers);
  column_.missing.clear();
  column_.codes.clear();
  codes_.clear();
  row_ = 0;
  second_reading_ = true;
}

Column ColumnBuilder::finish() {
  if (column_.is_text) {
    column_.has_decimal_commas = text_cells_ > 0 && comma_cells_ == text_cells_;
    // Levels by bytes, so that the coding does not depend on the order of the rows.
    std::vector<std::string> levels(codes_.size());
    while (!codes_.empty()) {
      auto node = codes_.extract(codes_.begin());
      levels[static_cast<std::size_t>(node.mapped())] = std::move(node.key());
    }
    std::vector<int> order(levels.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int a, int b) { return levels[static_cast<std::size_t>(a)] < levels[static_cast<std::size_t>(b)]; });
    std::vector<int> rank(levels.size());
    column_.levels.resize(levels.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      rank[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
      column_.levels[i] = std::move(levels[static_cast<std::size_t>(order[i])]);
    }
    for (int& code : column_.codes)
      if (code >= 0) code = rank[static_cast<std::size_t>(code)];
  }
  return std::move(column_);
}

}  // namespace clearway::detail
