// Times as people and hospitals write them.
#include <charconv>
#include <chrono>
#include <cmath>

#include "clearway/fusion/raw_data.hpp"
#include "clearway/fusion/row_scanner.hpp"

namespace clearway::fusion {

namespace {

/// Digits at the start of a text, taken off it; false when there are not `least` to `most` of them.
bool take_number(std::string_view& text, std::size_t least, std::size_t most, int& value) {
  std::size_t count = 0;
  while (count < text.size() && count < most && text[count] >= '0' && text[count] <= '9') ++count;
  if (count < least) return false;
  std::from_chars(text.data(), text.data() + count, value);
  text.remove_prefix(count);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// "07:30", "07:30:15", "31:00:12.5" as hours; what follows stays in `text`.
bool take_clock(std::string_view& text, std::size_t most_digits, double& hours) {
  int hour = 0, minute = 0;
  if (!take_number(text, 1, most_digits, hour) || !take(text, ':') || !take_number(text, 2, 2, minute) || minute > 59)
    return false;
  hours = hour + minute / 60.0;
  if (!take(text, ':')) return true;
  std::size_t size = 0;
  while (size < text.size() && ((text[size] >= '0' && text[size] <= '9') || text[size] == '.')) ++size;
  double second = 0;
  if (!read_finite(text.substr(0, size), second) || second >= 61) return false;
  text.remove_prefix(size);
  hours += second / 3600;
  return true;
}

bool read_iso(std::string_view text, double& hours) {
  int year = 0, month = 0, day = 0;
  if (!take_number(text, 4, 4, year) || !take(text, '-') || !take_number(text, 2, 2, month) || !take(text, '-') ||
      !take_number(text, 2, 2, day))
    return false;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return false;
  hours = 24.0 * static_cast<double>(std::chrono::sys_days(date).time_since_epoch().count());
  if (text.empty()) return true;
  double clock = 0;
  if (!(take(text, 'T') || take(text, ' ')) || !take_clock(text, 2, clock) || clock > 24) return false;
  hours += clock;
  if (text.empty() || text == "Z") return true;
  const double sign = text.front() == '-' ? 1 : -1;  // east of Greenwich it is later
  if (!take(text, '+') && !take(text, '-')) return false;
  int offset_hours = 0, offset_minutes = 0;
  if (!take_number(text, 2, 2, offset_hours)) return false;
  take(text, ':');
  if (!text.empty() && !take_number(text, 2, 2, offset_minutes)) return false;
  hours += sign * (offset_hours + offset_minutes / 60.0);
  return text.empty();
}

}  // namespace

bool read_time(std::string_view cell, TimeUnit unit, double& value) {
  if (unit != TimeUnit::clock && unit != TimeUnit::iso) return read_finite(cell, value);
  while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
  while (!cell.empty() && cell.back() == ' ') cell.remove_suffix(1);
  if (unit == TimeUnit::iso) return read_iso(cell, value);
  const bool negative = take(cell, '-');
  if (!take_clock(cell, 6, value) || !cell.empty()) return false;
  if (negative) value = -value;
  return true;
}

}  // namespace clearway::fusion
