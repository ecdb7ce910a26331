#include "clearway/train/metrics_log.hpp"

#include <chrono>
#include <filesystem>

#include "clearway/base/errors.hpp"
#include "clearway/io/json.hpp"

namespace clearway::train {

namespace {

/// The events of a line of the record.
std::string events_of(const Json& line) {
  Scalars values;
  for (const auto& [name, value] : line.items())
    if (name != "step" && name != "time" && value.is_number()) values.emplace_back(name, value.get<double>());
  return tf_record(scalar_event(line["step"].get<std::int64_t>(), line["time"].get<double>(), values));
}

Json line_of(std::int64_t step, const Scalars& values, double seconds) {
  Json line{{"step", step}, {"time", json_number(seconds, "time")}};
  for (const auto& [name, value] : values) {
    if (line.contains(name)) throw std::logic_error(fmt::format("the measure '{}' occurs twice", name));
    line[name] = json_number_or_null(value);
  }
  return line;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

MetricsLog::MetricsLog(std::string path, std::int64_t resumed_step, const std::string& events)
    : path_(std::move(path)) {
  std::string kept;
  std::string kept_events;
  std::string before;
  std::error_code none;
  if (std::filesystem::exists(path_, none)) before = read_file(path_);
  std::size_t number = 0;
  for (std::size_t start = 0; start < before.size();) {
    const std::size_t end = before.find('\n', start);
    if (end == std::string::npos) break;  // torn by a crash
    const std::string_view text(before.data() + start, end + 1 - start);
    const std::string where = fmt::format("{}: entry {}", path_, ++number);
    const Json line = parse_json(text, where);
    JsonObject entry(line, where);
    const std::int64_t step = entry.integer("step", 0, INT64_MAX);
    (void)entry.number("time");
    if (step <= resumed_step) {
      kept += text;
      if (!events.empty()) kept_events += events_of(line);
    }
    start = end + 1;
  }
  if (kept != before) write_file(path_, kept);
  lines_ = std::make_unique<AppendingFile>(path_);
  if (events.empty()) return;
  write_file(events, tf_record(version_event(now())) + kept_events);
  events_ = std::make_unique<AppendingFile>(events);
}

void MetricsLog::write(std::int64_t step, const Scalars& values) {
  write(step, values, now());
}

void MetricsLog::write(std::int64_t step, const Scalars& values, double seconds) {
  const Json line = line_of(step, values, seconds);
  lines_->write(json_text(line, -1));
  if (events_) events_->write(events_of(line));
}

}  // namespace clearway::train
