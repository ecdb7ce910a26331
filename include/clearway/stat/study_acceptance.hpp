// The acceptance table of the spectral method and of EM: what must hold, what was measured, and whether it does.
//
// Eighteen rows: exact ones (constants, population tensors, gradients) and statistical ones (medians over seeds). Rows
// in which a rival method is expected to fail, or an estimate to be biased, demand that it does: a better value there
// means that the generator or the rival is not what it claims to be. Problems and errors are those of scenario.hpp
// (gridlock, 10 inputs, noise 0.1, gate length 4, gates orthogonal unless said otherwise) and compare.hpp; thresholds
// about 1.3 times a prototype's figures. docs/acceptance.md shows a run, scripts/check-acceptance repeats the verdicts
// from the numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "clearway/stat/study_gridlock.hpp"

namespace clearway {

/// Options of the acceptance runs.
struct AcceptanceOptions {
  std::vector<int> checks;  ///< rows of the table; empty: all
  int seeds = 20;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("checks", self.checks,
          OptionInfo{.help = "rows of the acceptance table to run", .minimum = 1, .maximum = 18, .off = "all"});
    field("seeds", self.seeds, OptionInfo{.help = "problems per statistical row", .minimum = 3, .maximum = 10000});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0});
  }
};

/// One measured number and what it must be: low <= measured <= high. No bound is an infinity; a line without bounds is
/// for information.
struct AcceptanceLine {
  int row = 0;
  std::string check;    ///< what is measured
  std::string setting;  ///< where
  double measured = std::numeric_limits<double>::quiet_NaN();
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::string note;  ///< a reason, where one is needed

  bool required() const { return std::isfinite(low) || std::isfinite(high); }
  bool met() const { return !required() || (measured >= low && measured <= high); }
  /// "<= 0.05", "0.12 to 0.35", "-".
  std::string requirement() const;
};

struct AcceptanceTable {
  AcceptanceOptions options;
  std::vector<AcceptanceLine> lines;  ///< by row
  bool all_met() const;
};

/// Runs the rows that the options ask for. All numbers but the CPU seconds of row 18 are the same for any number of
/// threads.
AcceptanceTable run_acceptance(const AcceptanceOptions& options, const StudyProgress& progress = {});

std::string acceptance_text(const AcceptanceTable& table);
std::string acceptance_markdown(const AcceptanceTable& table);
std::string acceptance_csv(const AcceptanceTable& table);
std::string acceptance_json(const AcceptanceTable& table);

namespace detail {
// The rows by what they need. Each appends its lines.
void acceptance_exact(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines);
void acceptance_spectral(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines);
void acceptance_gate(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines);
void acceptance_joint(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines);
void acceptance_time(const AcceptanceOptions& options, std::vector<AcceptanceLine>& lines);
/// Whether a row was asked for.
bool wants(const AcceptanceOptions& options, int row);
}  // namespace detail

}  // namespace clearway
