// Long work that ends with what is done: Ctrl-C as a question that can be asked instead of an exception.
#pragma once

#include <functional>
#include <string>

#include "console.hpp"

namespace clearway::cli {

/// True once Ctrl-C was pressed. May be asked from several threads.
inline std::function<bool()> stop_after_interrupt(const Console& console) {
  console.check_interrupt();  // begins to watch
  return [&console] {
    try {
      console.check_interrupt();
      return false;
    } catch (const Interrupted&) {
      return true;
    }
  };
}

/// The console's progress line, which leaves Ctrl-C to stop_after_interrupt().
inline std::function<void(double, const std::string&)> quiet_progress(const Console& console) {
  return [draw = console.progress()](double fraction, const std::string& what) {
    try {
      draw(fraction, what);
    } catch (const Interrupted&) {  // NOLINT(bugprone-empty-catch): whoever works asks stop_after_interrupt()
    }
  };
}

}  // namespace clearway::cli
