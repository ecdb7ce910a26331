#include "documentation.hpp"

#include <algorithm>
#include <map>
#include <sstream>

#include "build_information.hpp"
#include "command_line.hpp"
#include "help.hpp"

namespace clearway::cli {

namespace {

/// Text for roff: backslashes and dashes escaped, no line that starts with a control character.
std::string roff(std::string_view text) {
  std::string result;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
    line_start = c == '\n';
  }
  return result;
}

std::string roff_heading(std::string_view page, std::string_view summary) {
  std::string upper;
  for (const char c : page) upper += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return fmt::format(
      ".\\\" Written by `clearway document man`; do not edit.\n"
      ".TH \"{}\" 1 \"\" \"clearway {}\" \"Clearway\"\n.SH NAME\n{} \\- {}\n",
      roff(upper), kVersion, roff(page), roff(summary));
}

std::string roff_option(const Option& option) {
  std::string text = ".TP\n";
  if (option.positional)
    text += fmt::format(".I {}\n", roff(option.name));
  else if (option.is_flag())
    text += fmt::format(".B {}\n", roff("--" + option.name));
  else
    text += fmt::format(".BI {} \\ {}\n", roff("--" + option.name), roff(option.value_name()));
  text += roff(fmt::format("{}", option.info.help));
  const std::string rule = option_rule(option);
  if (!rule.empty()) text += roff(fmt::format(" ({})", rule));
  text += ".\n";
  if (!option.info.source.empty()) text += roff(fmt::format("Source: {}.", option.info.source)) + "\n";
  for (const Choice& choice : option.choices) {
    text += fmt::format(".RS\n.IP \"\\fB{}\\fR\" 14\n{}\n.RE\n", roff(choice.name),
                        choice.help.empty() ? roff(choice.name) : roff(choice.help));
  }
  return text;
}

std::string roff_examples(std::string_view examples) {
  return fmt::format(".SH EXAMPLES\n.nf\n{}.fi\n", roff(examples));
}

std::string roff_exit_codes() {
  std::string text = ".SH \"EXIT STATUS\"\n";
  for (const ExitMeaning& exit : exit_meanings()) text += fmt::format(".TP\n{}\n{}.\n", exit.code, roff(exit.meaning));
  return text;
}

/// Paragraphs of a description (separated by empty lines) as roff.
std::string roff_paragraphs(std::string_view text) {
  std::string result;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) result += line.empty() ? ".PP\n" : roff(line) + "\n";
  return result;
}

/// Text for a cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '_') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string man_page(Command& command) {
  CommonOptions common;
  const OptionList options = options_of(command, common);
  std::string text = roff_heading(fmt::format("clearway-{}", command.file_name()), command.summary());
  text += fmt::format(".SH SYNOPSIS\n.nf\n{}\n.fi\n", roff(usage_line(command, options)));
  text += roff_examples(command.examples());
  if (!command.description().empty()) text += ".SH DESCRIPTION\n" + roff_paragraphs(command.description());
  for (const std::string& group : options.groups()) {
    text += fmt::format(".SH \"{}\"\n", roff(group));
    for (const Option& option : options.options())
      if (option.group == group) text += roff_option(option);
  }
  return text + roff_exit_codes() + ".SH \"SEE ALSO\"\n.BR clearway (1)\n";
}

std::string man_overview(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text = roff_heading("clearway", "mixtures of experts at the global optimum");
  text += ".SH SYNOPSIS\n.B clearway\n.I COMMAND\n[options]\n";
  text += roff_examples(
      "clearway fit data.csv --target y --experts 3 --out run/\n"
      "clearway predict run/ new.csv > predictions.csv\n");
  text += ".SH COMMANDS\n";
  std::string also;
  for (const auto& command : commands) {
    if (command->hidden()) continue;
    text += fmt::format(".TP\n.B {}\n{}.\n", roff(command->name()), roff(command->summary()));
    also +=
        fmt::format("{}.BR {} (1)", also.empty() ? "" : ",\n", roff(fmt::format("clearway-{}", command->file_name())));
  }
  CommonOptions common;
  OptionList options;
  options.add(common);
  text += ".SH \"OPTIONS OF EVERY COMMAND\"\n";
  for (const Option& option : options.options()) text += roff_option(option);
  return text + roff_exit_codes() + ".SH \"SEE ALSO\"\n" + also + "\n";
}

std::string markdown_reference(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text;
  CommonOptions common;
  OptionList shared;
  shared.add(common);
  const auto table = [&](const OptionList& options, const std::string& group) {
    text += "\n| option | meaning | rule |\n|---|---|---|\n";
    for (const Option& option : options.options()) {
      if (option.group != group) continue;
      std::string help(option.info.help);
      for (std::size_t i = 0; i < option.choices.size(); ++i) {
        help += (i == 0 ? ": " : ", ") + option.choices[i].name;
        if (!option.choices[i].help.empty()) help += " (" + option.choices[i].help + ")";
      }
      if (!option.info.source.empty()) help += fmt::format(" [{}]", option.info.source);
      text += fmt::format("| `{}` | {} | {} |\n", option_signature(option), cell(help), cell(option_rule(option)));
    }
  };
  for (const auto& command : commands) {
    if (command->hidden()) continue;
    const OptionList options = options_of(*command, common);
    text +=
        fmt::format("## clearway {}\n\n{}.\n\n```\n{}```\n", command->name(), command->summary(), command->examples());
    if (!command->description().empty()) text += fmt::format("\n{}", command->description());
    for (const std::string& group : options.groups()) {
      if (group == "Common options") continue;
      text += fmt::format("\n**{}**\n", group);
      table(options, group);
    }
    text += '\n';
  }
  text += "## Options of every command\n";
  table(shared, "Options");
  text += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
  for (const ExitMeaning& exit : exit_meanings()) text += fmt::format("| {} | {} |\n", exit.code, exit.meaning);
  return text;
}

std::string bash_completion(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string cases;
  std::map<std::string, std::string> second_words;  // by first word; empty for commands of one word
  for (const auto& command : commands) {
    if (command->hidden()) continue;
    const std::string_view name = command->name();
    const std::size_t space = std::min(name.find(' '), name.size());
    std::string& second = second_words[std::string(name.substr(0, space))];
    if (space < name.size()) second += fmt::format("{}{}", second.empty() ? "" : " ", name.substr(space + 1));
    CommonOptions common;
    const OptionList options = options_of(*command, common);
    std::string flags = "--help";
    std::string values;
    std::string words;
    for (const Option& option : options.options()) {
      std::string choices;
      for (const Choice& choice : option.choices) choices += (choices.empty() ? "" : " ") + choice.name;
      if (option.positional) {
        words += (words.empty() ? "" : " ") + choices;
        continue;
      }
      flags += " --" + option.name;
      if (!choices.empty()) values += fmt::format("        --{}) words=\"{}\" ;;\n", option.name, choices);
      if (choices.empty() && !option.is_flag()) values += fmt::format("        --{}) files=1 ;;\n", option.name);
    }
    cases +=
        fmt::format("    {})\n      flags=\"{}\"\n      arguments=\"{}\"\n      case \"$option\" in\n{}      esac ;;\n",
                    command->file_name(), flags, words, values);
  }
  std::string names;
  std::string groups;
  for (const auto& [first, second] : second_words) {
    names += fmt::format("{}{}", names.empty() ? "" : " ", first);
    if (second.empty()) continue;
    groups += fmt::format(" {} ", first);
    cases += fmt::format("    {})\n      flags=\"--help\"\n      arguments=\"{}\" ;;\n", first, second);
  }
  return fmt::format(
      R"(# Completion of clearway for bash. Written by `clearway document bash-completion`; do not edit.
_clearway() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="" option="" words="" flags="" arguments="" files="" command=""
  local i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
      -*) ;;
      *) command="${{COMP_WORDS[i]}}"; break ;;
    esac
  done
  # commands of two words
  if [[ "{2}" == *" $command "* && $((i + 1)) -lt $COMP_CWORD ]]; then command+="-${{COMP_WORDS[i+1]}}"; fi
  if [[ -z "$command" ]]; then
    mapfile -t COMPREPLY < <(compgen -W "{0} --help --version" -- "$current")
    return
  fi
  # bash splits --option=value into three words
  previous="${{COMP_WORDS[COMP_CWORD-1]}}"
  if [[ "$current" == "=" ]]; then
    option="$previous" current=""
  elif [[ "$previous" == "=" ]]; then
    option="${{COMP_WORDS[COMP_CWORD-2]}}"
  else
    option="$previous"
  fi
  case "$command" in
{1}  esac
  if [[ -n "$words" ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [[ -n "$files" ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  elif [[ "$current" == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  elif [[ -n "$arguments" ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$arguments" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}}
complete -o filenames -F _clearway clearway
)",
      names, cases, groups);
}

}  // namespace clearway::cli
