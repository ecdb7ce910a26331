// The program `clearway`: find the command, run it, turn every failure into one line and an exit code.
#include <algorithm>
#include <cstdlib>
#include <new>

#include "clearway/base/errors.hpp"
#include "command_line.hpp"
#include "help.hpp"
#include "registry.hpp"
#include "report/run_report.hpp"

namespace {

using namespace clearway::cli;

ExitCode run(const std::vector<std::string>& words, std::string& who) {
  const auto commands = all_commands();
  CommonOptions common;
  Invocation invocation = parse_command_line(words, commands, common, who);
  Console console(invocation.command != nullptr ? std::string(invocation.command->name()) : "", common.quiet,
                  common.color);
  if (invocation.version) {
    console.print(version_text());
    return ExitCode::success;
  }
  if (invocation.help) {
    console.print(invocation.command != nullptr ? command_help(*invocation.command, invocation.options, console)
                                                : overview_help(commands, console));
    return ExitCode::success;
  }
  if (invocation.command == nullptr) {
    fmt::print(stderr, "{}", overview_help(commands, Console("", false, ColorMode::never)));
    return ExitCode::usage;
  }
  Context context{common, invocation.options, console};
  // --report is declared by many commands and means the same in all of them.
  const Option* report = invocation.options.find("report");
  const bool draw = report != nullptr && report->is_flag() && report->text() == "true";
  const Option* out = invocation.options.find("out");
  if (draw && (out == nullptr || out->text().empty()))
    clearway::user_error("--report needs --out, the run folder to draw");
  const ExitCode code = invocation.command->run(context);
  const char* rank = std::getenv("RANK");  // of several processes of one training, one writes
  if (draw && code != ExitCode::interrupted && (rank == nullptr || std::string_view(rank) == "0"))
    write_report(out->text());
  return code;
}

/// One line on standard error, whatever the message holds.
ExitCode fail(const std::string& who, std::string message, ExitCode code) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  fmt::print(stderr, "{}: {}\n", who, message);
  return code;
}

/// What torch says, without the trace of calls behind it; a tensor that memory cannot hold in the user's words.
std::string without_trace(std::string message) {
  const bool of_torch =
      message.find("\nframe #0") != std::string::npos || message.find("\nException raised from ") != std::string::npos;
  if (!of_torch) return message;
  message.resize(message.find('\n'));
  for (const std::string_view sign : {"allocate memory", "out of memory", "not enough memory", "size calculation over"})
    if (message.find(sign) != std::string::npos)
      return "out of memory: the model or its batch does not fit (" + message + ")";
  return message;
}

}  // namespace

int main(int argc, char** argv) {
  std::string who = "clearway";
  ExitCode code = ExitCode::failure;
  try {
    code = run(std::vector<std::string>(argv + std::min(argc, 1), argv + argc), who);
  } catch (const Interrupted& error) {
    code = fail(who, error.what(), ExitCode::interrupted);
  } catch (const std::invalid_argument& error) {
    code = fail(who, error.what(), ExitCode::usage);
  } catch (const std::bad_alloc&) {
    code = fail(who, "out of memory", ExitCode::failure);
  } catch (const std::exception& error) {
    code = fail(who, without_trace(error.what()), ExitCode::failure);
  }
  return static_cast<int>(code);
}
