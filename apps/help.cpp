#include "help.hpp"

#include <Eigen/Core>
#include <cmath>
#include <sstream>

#include "build_information.hpp"
#include "clearway/base/parallel.hpp"

namespace clearway::cli {

namespace {

constexpr std::size_t kTextColumn = 28;

/// "  --name N              text", the text wrapped under itself.
std::string entry(std::string_view left, std::string_view text) {
  std::string line = fmt::format("  {}", left);
  if (line.size() + 2 > kTextColumn)
    line += '\n' + std::string(kTextColumn, ' ');
  else
    line.resize(kTextColumn, ' ');
  return line + wrapped(text, kTextColumn, kTextColumn) + '\n';
}

std::string indented(std::string_view lines) {
  std::string text;
  std::istringstream stream{std::string(lines)};
  for (std::string line; std::getline(stream, line);) text += fmt::format("  {}\n", line);
  return text;
}

std::string choice_list(const Option& option) {
  std::string text;
  for (const Choice& choice : option.choices) text += (text.empty() ? "" : ", ") + choice.name;
  return text;
}

std::string option_entry(const Option& option) {
  std::string text(option.info.help);
  if (!option.choices.empty()) text += ": " + choice_list(option);
  const std::string rule = option_rule(option);
  if (!rule.empty()) text += fmt::format(" ({})", rule);
  return entry(option_signature(option), text);
}

/// Numbers in rules: whole ones without exponent, others in short form.
std::string rule_number(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value) : fmt::format("{}", value);
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t first_column, std::size_t indent, std::size_t width) {
  std::string result;
  std::size_t column = first_column;
  bool line_start = true;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (!line_start && column + 1 + word.size() > width) {
      result += '\n' + std::string(indent, ' ');
      column = indent;
      line_start = true;
    }
    if (!line_start) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    line_start = false;
  }
  return result;
}

const std::vector<ExitMeaning>& exit_meanings() {
  static const std::vector<ExitMeaning> meanings{
      {0, "success"},
      {1, "failed: a file that cannot be written, memory"},
      {2, "wrong use: an option, a file's content, a column; the message says what and where"},
      {3, "fitted and written, but not converged"},
      {130, "interrupted by Ctrl-C"},
  };
  return meanings;
}

std::string option_signature(const Option& option) {
  if (option.positional) return option.name;
  if (option.is_flag()) return "--" + option.name;
  return fmt::format("--{} {}", option.name, option.value_name());
}

std::string option_rule(const Option& option) {
  std::vector<std::string> parts;
  const OptionInfo& info = option.info;
  if (option.is_flag()) {
    if (option.default_text == "true") parts.push_back(fmt::format("on; --{}=false switches it off", option.name));
    return fmt::format("{}", fmt::join(parts, "; "));
  }
  if (!option.default_text.empty()) parts.push_back("default " + option.default_text);
  if (info.above_minimum)
    parts.push_back("above " + rule_number(info.minimum));
  else if (std::isfinite(info.minimum) && std::isfinite(info.maximum))
    parts.push_back(fmt::format("{} to {}", rule_number(info.minimum), rule_number(info.maximum)));
  else if (std::isfinite(info.minimum))
    parts.push_back("at least " + rule_number(info.minimum));
  if (std::isfinite(info.maximum) && (info.above_minimum || !std::isfinite(info.minimum)))
    parts.push_back("at most " + rule_number(info.maximum));
  if (!info.off.empty() && info.off != option.default_text) parts.push_back(fmt::format("off: {}", info.off));
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string usage_line(const Command& command, const OptionList& options) {
  std::string line = fmt::format("clearway {}", command.name());
  for (const Option& option : options.options())
    if (option.positional) line += option.required ? " " + option.name : " [" + option.name + "]";
  return line + " [options]";
}

std::string command_help(const Command& command, const OptionList& options, const Console& console) {
  std::string text =
      fmt::format("{}: {}\n\n", console.bold(fmt::format("clearway {}", command.name())), command.summary());
  text += indented(command.examples());
  text += fmt::format("\n{} {}\n", console.bold("Usage:"), usage_line(command, options));
  std::istringstream paragraphs{std::string(command.description())};
  std::string paragraph;
  const auto flush = [&] {
    if (!paragraph.empty()) text += '\n' + wrapped(paragraph, 0, 0) + '\n';
    paragraph.clear();
  };
  for (std::string line; std::getline(paragraphs, line);) {
    if (line.empty())
      flush();
    else
      paragraph += line + ' ';
  }
  flush();
  for (const std::string& group : options.groups()) {
    text += fmt::format("\n{}\n", console.bold(group + ":"));
    for (const Option& option : options.options())
      if (option.group == group) text += option_entry(option);
  }
  return text;
}

std::string overview_help(const std::vector<std::unique_ptr<Command>>& commands, const Console& console) {
  std::string text = fmt::format("{}: mixtures of experts at the global optimum\n\n", console.bold("clearway"));
  text += indented(
      "clearway fit data.csv --target y --experts 3 --out run/\n"
      "clearway predict run/ new.csv > predictions.csv\n");
  text += fmt::format("\n{} clearway COMMAND [options]\n\n{}\n", console.bold("Usage:"), console.bold("Commands:"));
  for (const auto& command : commands)
    if (!command->hidden()) text += entry(command->name(), command->summary());
  CommonOptions common;
  OptionList options;
  options.add(common);
  text += fmt::format("\n{}\n", console.bold("Options of every command:"));
  for (const Option& option : options.options()) text += option_entry(option);
  text += entry("--help", "this text, or with a command its options; also: clearway help COMMAND");
  text += entry("--version", "version, commit, compiler, Eigen, threads");
  text += fmt::format("\n{}\n", console.bold("Exit codes:"));
  for (const ExitMeaning& exit : exit_meanings()) text += entry(fmt::format("{}", exit.code), exit.meaning);
  return text;
}

std::string version_text() {
  std::string text = fmt::format("clearway {}\n", kVersion);
  if (!kCommit.empty()) text += fmt::format("commit    {}\n", kCommit);
  text += fmt::format("compiler  {}\n", kCompiler);
  text += fmt::format("build     {}\n", kBuildType);
  text += fmt::format("Eigen     {}.{}.{} ({})\n", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION,
                      Eigen::SimdInstructionSetsInUse());
  text += fmt::format("threads   {}\n", resolve_threads(0));
  return text;
}

}  // namespace clearway::cli
