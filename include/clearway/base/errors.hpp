// The two kinds of failure and how to raise them.
//
// A mistake of the user (a bad option, a bad cell, shapes that do not fit) throws std::invalid_argument and ends a
// program with exit code 2; a failure of the world (a file that cannot be written, memory) throws std::runtime_error
// and ends it with 1. The message names the thing, its value and the rule: "experts must be at least 1, not 0".
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace clearway {

/// Throws std::invalid_argument with a formatted message: the caller or the user made a mistake that they can mend.
template <class... Args>
[[noreturn]] void user_error(fmt::format_string<Args...> format, Args&&... args) {
  throw std::invalid_argument(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws std::runtime_error with a formatted message: the world failed (disk, memory, a file that vanished).
template <class... Args>
[[noreturn]] void world_error(fmt::format_string<Args...> format, Args&&... args) {
  throw std::runtime_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace clearway
