// Help for the terminal, written from the OptionList of a command: examples first.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"

namespace clearway::cli {

/// What `clearway --help` prints: examples, commands, common options, exit codes.
std::string overview_help(const std::vector<std::unique_ptr<Command>>& commands, const Console& console);
/// What `clearway COMMAND --help` prints.
std::string command_help(const Command& command, const OptionList& options, const Console& console);
/// What `clearway --version` prints.
std::string version_text();

/// "clearway fit [options] data.csv"
std::string usage_line(const Command& command, const OptionList& options);
/// "--experts N", "--json", "data.csv"
std::string option_signature(const Option& option);
/// "default 2, at least 1; 0 switches it off" without brackets; may be empty.
std::string option_rule(const Option& option);
/// Breaks text into lines of at most `width` bytes, each but the first indented; words are never cut.
std::string wrapped(std::string_view text, std::size_t first_column, std::size_t indent, std::size_t width = 88);

/// One exit code and its meaning, for help, man page and markdown.
struct ExitMeaning {
  int code;
  std::string_view meaning;
};
const std::vector<ExitMeaning>& exit_meanings();

}  // namespace clearway::cli
