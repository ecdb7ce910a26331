#include "console.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "clearway/base/errors.hpp"
#include "clearway/base/progress.hpp"

namespace clearway::cli {

namespace {

volatile std::sig_atomic_t interrupt_requested = 0;

/// First Ctrl-C: ask for a stop; the default action is back, so that the second one ends the program.
extern "C" void request_interrupt(int) {
  interrupt_requested = 1;
  constexpr char kMessage[] = "\nstopping at the next safe point; press Ctrl-C again to stop at once\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
}

void watch_interrupts() {
  static const bool watching = [] {
    struct sigaction action {};
    action.sa_handler = request_interrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    return sigaction(SIGINT, &action, nullptr) == 0;
  }();
  static_cast<void>(watching);
}

void write_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fputc('\n', stderr);
}

}  // namespace

void Console::print(std::string_view text) const {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    world_error("cannot write to standard output");
}

void Console::note(std::string_view line) const {
  if (!quiet_) write_line(line);
}

void Console::warn(std::string_view line) const {
  if (!quiet_) write_line(fmt::format("clearway {}: warning: {}", command_, line));
}

bool Console::color_output() const {
  if (color_ != ColorMode::automatic) return color_ == ColorMode::always;
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) != "dumb" && isatty(STDOUT_FILENO) == 1;
}

std::string Console::bold(std::string_view text) const {
  return color_output() ? fmt::format("\033[1m{}\033[0m", text) : std::string(text);
}

std::function<void(double, const std::string&)> Console::progress() const {
  watch_interrupts();
  const auto mode = quiet_ ? ProgressMode::never : ProgressMode::automatic;
  const auto line = std::make_shared<ProgressLine>("clearway " + command_, mode);
  return [line](double fraction, const std::string& what) {
    if (interrupt_requested != 0) throw Interrupted();
    line->update(fraction, what);
  };
}

void Console::check_interrupt() const {
  watch_interrupts();
  if (interrupt_requested != 0) throw Interrupted();
}

}  // namespace clearway::cli
