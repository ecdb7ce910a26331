// Runs another program on bytes and takes what it prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace clearway::train {

struct ProgramResult {
  int status = 0;      ///< exit status, 128 + signal for a killed one
  std::string output;  ///< standard output
  std::string errors;  ///< standard error
};

/// arguments[0] is looked for on the PATH. Throws std::runtime_error when it cannot be started; see on_path().
ProgramResult run_program(const std::vector<std::string>& arguments, std::string_view input);

/// Whether there is a program of that name on the PATH.
bool on_path(std::string_view program);

}  // namespace clearway::train
