// Man pages, the option tables of docs/cli.md and shell completion, written from the same OptionLists as help.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "command.hpp"

namespace clearway::cli {

/// The page clearway(1): overview, commands, common options, exit codes.
std::string man_overview(const std::vector<std::unique_ptr<Command>>& commands);
/// The page clearway-COMMAND(1).
std::string man_page(Command& command);
/// Commands, options and exit codes as Markdown.
std::string markdown_reference(const std::vector<std::unique_ptr<Command>>& commands);
/// A completion script for bash: commands, options, words of an option, files.
std::string bash_completion(const std::vector<std::unique_ptr<Command>>& commands);

}  // namespace clearway::cli
