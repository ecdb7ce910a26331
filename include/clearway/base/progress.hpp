// One line of progress on standard error, with the time that is left: "fit: polishing  62 %, about 4 s left".
//
// It is drawn only on a terminal (or when asked), never when quiet, at most ten times a second, and it erases itself,
// so that logs and pipes stay clean. Library code knows nothing of it: it calls a progress callback.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace clearway {

/// When to draw: on a terminal that can move its cursor, always, or never (--quiet).
enum class ProgressMode { automatic, always, never };

class ProgressLine {
 public:
  /// `title` begins the line, usually the name of the command.
  explicit ProgressLine(std::string title, ProgressMode mode = ProgressMode::automatic);
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows a fraction in [0, 1] and a few words; cheap when nothing is drawn. Call it from one thread at a time.
  void update(double fraction, std::string_view what);
  /// Erases the line. Further updates draw it again.
  void finish();
  bool drawing() const { return drawing_; }

 private:
  std::string title_;
  bool drawing_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

/// A duration for people: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min".
std::string duration_in_words(double seconds);

/// The text of a progress line: title, words, percentage, and what is left once it can be guessed (after 1 second and
/// 2 %). The fraction is clamped to [0, 1]; NaN counts as 0.
std::string progress_text(std::string_view title, std::string_view what, double fraction, double elapsed_seconds);

}  // namespace clearway
