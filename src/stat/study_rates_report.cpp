// Tables, CSV and JSON of the rates study.
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "clearway/base/text.hpp"
#include "clearway/stat/study_rates.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

constexpr std::size_t kTableWidth = 200;

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json numbers(const std::vector<double>& values) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const double value : values) list.push_back(number_or_null(value));
  return list;
}

std::string slope_text(const RateSlope& slope) {
  return slope.known() ? fmt::format("{:.3f} [{:.3f}, {:.3f}]", slope.slope, slope.low, slope.high) : "-";
}

std::string exponent_text(std::optional<double> value) {
  return value ? fmt::format("{:.3f}", *value) : "-";
}

void append_failures(const RateStudy& study, int fitted, std::string& text) {
  const std::vector<int> failures = rate_failures(study, fitted);
  int all = 0;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < failures.size(); ++i) {
    all += failures[i];
    if (failures[i] > 0)
      parts.push_back(fmt::format("{} of {} at {} rows", failures[i], study.options.trials, study.rows[i]));
  }
  if (all == 0)
    text += "  all fits converged\n";
  else
    text += fmt::format("  not converged, and counted like the others: {}\n", fmt::join(parts, ", "));
}

nlohmann::ordered_json line_json(const RateLine& line) {
  nlohmann::ordered_json json;
  json["fitted"] = line.fitted;
  json["quantity"] = std::string(enum_name(line.quantity));
  json["slope"] = number_or_null(line.slope.slope);
  json["interval"] = {number_or_null(line.slope.low), number_or_null(line.slope.high)};
  json["deviation"] = number_or_null(line.slope.deviation);
  json["theory"] = line.theory ? nlohmann::ordered_json(*line.theory) : nlohmann::ordered_json(nullptr);
  json["theory_with_log"] =
      line.theory_with_log ? nlohmann::ordered_json(*line.theory_with_log) : nlohmann::ordered_json(nullptr);
  if (line.published) json["published"] = {{"slope", line.published->slope}, {"source", line.published->source}};
  json["verdict"] = line.verdict;
  json["median"] = numbers(line.median);
  json["mean"] = numbers(line.mean);
  json["lower_quartile"] = numbers(line.lower_quartile);
  json["upper_quartile"] = numbers(line.upper_quartile);
  return json;
}

// Shortest text that reads back to the same double; nothing for NaN.
std::string exact(double value) {
  return std::isnan(value) ? std::string() : fmt::format("{}", value);
}

/// One line of the table of trials, cell by cell.
class LineReader {
 public:
  LineReader(std::string_view line, std::string where) : rest_(line), where_(std::move(where)) {}

  std::string_view cell() {
    if (ended_) user_error("{}: has too few cells", where_);
    const std::size_t end = std::min(rest_.find(','), rest_.size());
    const std::string_view text = rest_.substr(0, end);
    ended_ = end == rest_.size();
    rest_.remove_prefix(ended_ ? end : end + 1);
    return text;
  }
  template <class Number>
  Number number(std::string_view text) const {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      user_error("{}: {} is not a number", where_, quoted_for_message(text));
    return value;
  }
  double number_or_nan() {
    const std::string_view text = cell();
    return text.empty() ? std::numeric_limits<double>::quiet_NaN() : number<double>(text);
  }
  void finish() const {
    if (!ended_) user_error("{}: has too many cells", where_);
  }
  const std::string& where() const { return where_; }

 private:
  std::string_view rest_;
  std::string where_;
  bool ended_ = false;
};

RateTrial parse_line(std::string_view line, const std::string& where) {
  LineReader reader(line, where);
  RateTrial trial;
  trial.fitted = reader.number<int>(reader.cell());
  trial.rows = reader.number<std::int64_t>(reader.cell());
  trial.trial = reader.number<int>(reader.cell());
  trial.converged = reader.number<int>(reader.cell()) != 0;
  trial.reason = enum_value<StopReason>(where, std::string(reader.cell()));
  trial.iterations = reader.number<int>(reader.cell());
  trial.objective = reader.number_or_nan();
  trial.cells = std::string(reader.cell());
  for (double& error : trial.errors) error = reader.number_or_nan();
  std::string_view parameters = reader.cell();
  reader.finish();
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find(' '), parameters.size());
    trial.parameters.push_back(reader.number<double>(parameters.substr(0, end)));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
  }
  return trial;
}

}  // namespace

std::string rates_text(const RateStudy& study) {
  const RateProblem& problem = study.problem;
  std::string text = fmt::format("{}: {}\n", problem.name, problem.title);
  if (!problem.paper.empty()) text += fmt::format("  {}\n", problem.paper);
  text += fmt::format("  {} true experts, {} data sets for each of {} sizes from {} to {} rows, starts from the {}\n",
                      problem.truth.expert_count(), study.options.trials, study.rows.size(), study.rows.front(),
                      study.rows.back(), enum_name(study.options.start));
  text += fmt::format("  {}\n", problem.theory);
  for (const std::string& remark : problem.remarks) text += fmt::format("  {}\n", remark);

  const std::vector<RateLine> lines = rate_lines(study);
  for (const int fitted : problem.fitted) {
    text += fmt::format("\n{} fitted experts\n", fitted);
    append_failures(study, fitted, text);
    detail::TextTable table(kTableWidth);
    for (const std::string& heading :
         {fmt::format("median at {}", study.rows.front()), fmt::format("at {}", study.rows.back()),
          std::string("slope [95 % interval]"), std::string("theory"), std::string("with log"),
          std::string("published"), std::string("verdict")})
      table.column(heading);
    for (const RateLine& line : lines) {
      if (line.fitted != fitted) continue;
      table.begin_row(fmt::format("  {}", enum_name(line.quantity)));
      table.cell(fmt::format("{:.4g}", line.median.front()));
      table.cell(fmt::format("{:.4g}", line.median.back()));
      table.cell(slope_text(line.slope));
      table.cell(exponent_text(line.theory));
      table.cell(exponent_text(line.theory_with_log));
      table.cell(line.published ? fmt::format("{:.3f}", line.published->slope) : "-");
      table.cell(line.verdict);
    }
    text += table.text();
  }
  text +=
      "\nSlopes are of the medians, Theil-Sen on log-log; every size and every fit counts. Theory bounds the error "
      "from "
      "above:\na steeper slope does not contradict it. \"with log\" is the slope of (log n / n)^e at these sizes.\n";
  return text;
}

std::string rates_json(const RateStudy& study) {
  const RateProblem& problem = study.problem;
  nlohmann::ordered_json json;
  json["study"] = "rates";
  json["preset"] = problem.name;
  json["title"] = problem.title;
  json["paper"] = problem.paper;
  json["method"] = std::string(enum_name(problem.method));
  json["true_experts"] = problem.truth.expert_count();
  json["trials"] = study.options.trials;
  json["start"] = std::string(enum_name(study.options.start));
  json["seed"] = study.options.seed;
  json["rows"] = study.rows;
  json["theory"] = problem.theory;
  json["remarks"] = problem.remarks;
  json["not_converged"] = nlohmann::ordered_json::object();
  for (const int fitted : problem.fitted) json["not_converged"][std::to_string(fitted)] = rate_failures(study, fitted);
  json["lines"] = nlohmann::ordered_json::array();
  for (const RateLine& line : rate_lines(study)) json["lines"].push_back(line_json(line));
  return json.dump(2) + "\n";
}

std::string rate_trials_header() {
  std::string text = "fitted,rows,trial,converged,reason,iterations,objective,cells";
  for (const auto& entry : enum_names(RateQuantity{})) {
    text += ',';
    for (const char c : entry.name) text += c == '-' ? '_' : c;
  }
  return text + ",parameters\n";
}

std::string rate_trial_line(const RateTrial& trial) {
  std::string text =
      fmt::format("{},{},{},{},{},{},{},{}", trial.fitted, trial.rows, trial.trial, trial.converged ? 1 : 0,
                  enum_name(trial.reason), trial.iterations, exact(trial.objective), trial.cells);
  for (const double error : trial.errors) text += ',' + exact(error);
  return text + fmt::format(",{}\n", fmt::join(trial.parameters, " "));
}

std::string rate_trials_csv(const RateStudy& study) {
  std::string text = rate_trials_header();
  for (const RateTrial& trial : study.trials) text += rate_trial_line(trial);
  return text;
}

std::vector<RateTrial> parse_rate_trials(const std::string& text, const std::string& source) {
  std::vector<RateTrial> trials;
  std::size_t line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // torn by a crash
    const std::string_view row = std::string_view(text).substr(begin, end - begin);
    ++line;
    if (line == 1) {
      if (std::string(row) + '\n' != rate_trials_header())
        user_error("{}: is not a table of trials of this program", source);
    } else {
      trials.push_back(parse_line(row, fmt::format("{}: line {}", source, line)));
    }
    begin = end + 1;
  }
  return trials;
}

}  // namespace clearway
