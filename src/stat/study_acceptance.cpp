#include "clearway/stat/study_acceptance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace detail {

bool wants(const AcceptanceOptions& options, int row) {
  return options.checks.empty() || std::find(options.checks.begin(), options.checks.end(), row) != options.checks.end();
}

}  // namespace detail

namespace {

std::string shown(double value) {
  if (std::isnan(value)) return "-";
  const double size = std::abs(value);
  if (value != 0.0 && (size < 1e-3 || size >= 1e6)) return fmt::format("{:.2e}", value);
  return fmt::format("{:.4g}", value);
}

std::string verdict(const AcceptanceLine& line) {
  if (!line.required()) return "for information";
  return line.met() ? "met" : "NOT met";
}

std::string csv_text(const std::string& text) {
  return text.find_first_of(",\"\n") == std::string::npos ? text : fmt::format("\"{}\"", text);
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : std::string();
}

nlohmann::ordered_json json_number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string AcceptanceLine::requirement() const {
  if (std::isfinite(low) && std::isfinite(high)) return fmt::format("{} to {}", shown(low), shown(high));
  if (std::isfinite(high)) return fmt::format("<= {}", shown(high));
  if (std::isfinite(low)) return fmt::format(">= {}", shown(low));
  return "-";
}

bool AcceptanceTable::all_met() const {
  return std::all_of(lines.begin(), lines.end(), [](const AcceptanceLine& line) { return line.met(); });
}

AcceptanceTable run_acceptance(const AcceptanceOptions& options, const StudyProgress& progress) {
  check_options(options);
  AcceptanceTable table;
  table.options = options;
  using Part = void (*)(const AcceptanceOptions&, std::vector<AcceptanceLine>&);
  struct Step {
    const char* what;
    Part part;
  };
  constexpr std::array<Step, 5> steps{{{"constants and exact tensors", detail::acceptance_exact},
                                       {"spectral regressors", detail::acceptance_spectral},
                                       {"EM for the gate", detail::acceptance_gate},
                                       {"joint EM", detail::acceptance_joint},
                                       {"CPU time", detail::acceptance_time}}};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (progress) progress(static_cast<double>(i) / static_cast<double>(steps.size()), steps[i].what);
    steps[i].part(options, table.lines);
  }
  std::stable_sort(table.lines.begin(), table.lines.end(),
                   [](const AcceptanceLine& a, const AcceptanceLine& b) { return a.row < b.row; });
  return table;
}

std::string acceptance_text(const AcceptanceTable& table) {
  std::string text = fmt::format("{:>3}  {:<58}{:<34}{:>11}  {:<16}{}\n", "row", "check", "setting", "measured",
                                 "required", "verdict");
  for (const AcceptanceLine& line : table.lines) {
    text += fmt::format("{:>3}  {:<58}{:<34}{:>11}  {:<16}{}\n", line.row, line.check, line.setting,
                        shown(line.measured), line.requirement(), verdict(line));
    if (!line.note.empty()) text += fmt::format("     {}\n", line.note);
  }
  return text;
}

std::string acceptance_markdown(const AcceptanceTable& table) {
  std::string text = "| row | check | setting | measured | required | verdict |\n|---|---|---|---|---|---|\n";
  for (const AcceptanceLine& line : table.lines)
    text += fmt::format("| {} | {}{} | {} | {} | {} | {} |\n", line.row, line.check,
                        line.note.empty() ? std::string() : fmt::format(" ({})", line.note), line.setting,
                        shown(line.measured), line.requirement(), verdict(line));
  return text;
}

std::string acceptance_csv(const AcceptanceTable& table) {
  std::string text = "row,check,setting,measured,low,high,met,note\n";
  for (const AcceptanceLine& line : table.lines)
    text += fmt::format("{},{},{},{},{},{},{},{}\n", line.row, csv_text(line.check), csv_text(line.setting),
                        csv_number(line.measured), csv_number(line.low), csv_number(line.high),
                        line.required() ? (line.met() ? "1" : "0") : "", csv_text(line.note));
  return text;
}

std::string acceptance_json(const AcceptanceTable& table) {
  nlohmann::ordered_json json;
  json["study"] = "acceptance";
  json["seeds"] = table.options.seeds;
  json["seed"] = table.options.seed;
  json["all_met"] = table.all_met();
  json["lines"] = nlohmann::ordered_json::array();
  for (const AcceptanceLine& line : table.lines)
    json["lines"].push_back({{"row", line.row},
                             {"check", line.check},
                             {"setting", line.setting},
                             {"measured", json_number(line.measured)},
                             {"low", json_number(line.low)},
                             {"high", json_number(line.high)},
                             {"required", line.required()},
                             {"met", line.met()},
                             {"note", line.note}});
  return json.dump(2) + "\n";
}

}  // namespace clearway
