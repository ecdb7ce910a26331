// Options from a file: TOML (read by CLI11) or the config.json of a run folder. Flags win over the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "option_list.hpp"

namespace clearway::cli {

/// Sets the options of `list` that were not given on the command line. In TOML, keys before any section and those of
/// the section [command] count; sections of the other commands are skipped. '_' and '-' are the same in keys.
/// Throws std::invalid_argument for a file that cannot be read or parsed and for unknown keys.
void apply_config_file(const std::string& path, std::string_view command, const std::vector<std::string>& commands,
                       OptionList& list);

}  // namespace clearway::cli
