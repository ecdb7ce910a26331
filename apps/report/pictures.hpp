// Figures of a report as files for papers: SVG and PNG, drawn by a browser without a window from the page itself.
#pragma once

#include <string>
#include <vector>

namespace clearway::cli {

/// Writes ID.svg and ID.png for every figure of the page into a folder (made where it is missing) and returns the names of
/// the files. `browser` is a program; empty: the first of chromium, chromium-browser, google-chrome, chrome on the PATH.
/// Throws std::runtime_error that names the package to install when there is none, and std::invalid_argument when a file
/// is there already and not `force`.
std::vector<std::string> write_pictures(const std::string& page, const std::string& folder, const std::string& browser,
                                        bool force);

}  // namespace clearway::cli
