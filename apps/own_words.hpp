// The words that this process was started with, to start another with the same.
#pragma once

#include <string>
#include <vector>

namespace clearway::cli {

/// The program's name first. Throws std::runtime_error when /proc is not there.
std::vector<std::string> own_words();

}  // namespace clearway::cli
