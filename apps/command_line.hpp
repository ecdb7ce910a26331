// From argv to a command with its options set: CLI11 splits the words, the rest (types, rules, config file, slips of
// the pen) is done on the OptionList, so that flags, config files and messages agree.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "command.hpp"

namespace clearway::cli {

/// What the user asked for.
struct Invocation {
  Command* command = nullptr;  ///< null: none was named
  OptionList options;          ///< of that command, the common ones included
  bool help = false;
  bool version = false;
};

/// Parses the words after the program's name. `who` becomes "clearway COMMAND" as soon as the command is known (for the
/// error line). Throws std::invalid_argument for every wrong use, with the nearest name where there is one.
Invocation parse_command_line(const std::vector<std::string>& words,
                              const std::vector<std::unique_ptr<Command>>& commands, CommonOptions& common,
                              std::string& who);

/// Every option of a command: its own, then the common ones.
OptionList options_of(Command& command, CommonOptions& common);

}  // namespace clearway::cli
