// Figures in a terminal: lines and points in Braille dots, bars and intervals in line drawing, matrices in shades.
#pragma once

#include <string>

#include "clearway/report/figure.hpp"

namespace clearway::report {

struct TerminalStyle {
  int width = 80;       ///< columns
  int height = 14;      ///< lines of a panel
  bool colour = false;  ///< ANSI colours for groups
};

/// The figure in lines of text, its title first.
std::string terminal_text(const Figure& figure, const TerminalStyle& style);

}  // namespace clearway::report
