#include "clearway/base/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace clearway {

namespace {

bool terminal_can_redraw() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

constexpr const char* kEraseLine = "\r\033[K";

}  // namespace

std::string duration_in_words(double seconds) {
  if (!(seconds >= 0.0)) seconds = 0.0;
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 59.5) return fmt::format("{:.0f} s", seconds);
  const auto whole = static_cast<long long>(std::llround(std::min(seconds, 1e15)));
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string progress_text(std::string_view title, std::string_view what, double fraction, double elapsed_seconds) {
  const double done = fraction > 0.0 ? std::min(fraction, 1.0) : 0.0;
  std::string text = fmt::format("{}: {}  {:.0f} %", title, what, 100.0 * done);
  if (elapsed_seconds >= 1.0 && done >= 0.02 && done < 1.0)
    text += fmt::format(", about {} left", duration_in_words(elapsed_seconds * (1.0 - done) / done));
  return text;
}

ProgressLine::ProgressLine(std::string title, ProgressMode mode)
    : title_(std::move(title)),
      drawing_(mode == ProgressMode::always || (mode == ProgressMode::automatic && terminal_can_redraw())),
      start_(std::chrono::steady_clock::now()) {}

void ProgressLine::update(double fraction, std::string_view what) {
  if (!drawing_) return;
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - last_ < std::chrono::milliseconds(100)) return;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const std::string line = kEraseLine + progress_text(title_, what, fraction, elapsed);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  shown_ = true;
  last_ = now;
}

void ProgressLine::finish() {
  if (!shown_) return;
  std::fputs(kEraseLine, stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace clearway
