// What the program says: results on stdout, everything else on stderr; colours, progress and Ctrl-C.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "clearway/base/options.hpp"

namespace clearway::cli {

enum class ColorMode { automatic, always, never };
inline std::span<const EnumName<ColorMode>> enum_names(ColorMode) {
  static constexpr std::array<EnumName<ColorMode>, 3> names{{
      {ColorMode::automatic, "auto", "on a terminal, unless NO_COLOR is set or TERM is dumb"},
      {ColorMode::always, "always", "also in pipes"},
      {ColorMode::never, "never", "plain text"},
  }};
  return names;
}

/// Thrown at the next safe point after Ctrl-C; main() turns it into exit code 130.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

class Console {
 public:
  Console() = default;
  Console(std::string command, bool quiet, ColorMode color)
      : command_(std::move(command)), quiet_(quiet), color_(color) {}

  /// Writes a result to standard output, --quiet or not. Throws std::runtime_error when that fails (disk full).
  void print(std::string_view text) const;
  /// Writes a line to standard error, unless --quiet.
  void note(std::string_view line) const;
  /// Writes "clearway COMMAND: warning: line" to standard error, unless --quiet.
  void warn(std::string_view line) const;

  bool quiet() const { return quiet_; }
  /// Whether standard output may be coloured: --color, NO_COLOR, TERM, a terminal.
  bool color_output() const;
  /// The text in bold where colours are allowed.
  std::string bold(std::string_view text) const;

  /// A callback for long work. It draws a line on standard error when that is a terminal (and not --quiet), and throws
  /// Interrupted at its first call after Ctrl-C; a second Ctrl-C ends the program at once. The line is erased when the
  /// last copy of the callback goes.
  std::function<void(double fraction, const std::string& what)> progress() const;
  /// For loops without a progress callback: throws Interrupted after Ctrl-C (call progress() or this once before).
  void check_interrupt() const;

 private:
  std::string command_;
  bool quiet_ = false;
  ColorMode color_ = ColorMode::automatic;
};

}  // namespace clearway::cli
