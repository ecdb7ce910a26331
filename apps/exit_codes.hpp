// How the program ends. The man page and docs/cli.md list the same codes.
#pragma once

namespace clearway::cli {

enum class ExitCode : int {
  success = 0,
  failure = 1,        ///< the world failed: a file that cannot be written, memory
  usage = 2,          ///< wrong use: an option, a cell, a column
  not_converged = 3,  ///< a fit was written, but it did not converge
  interrupted = 130,  ///< Ctrl-C (128 + SIGINT)
};

}  // namespace clearway::cli
