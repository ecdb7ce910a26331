// Sets and intervals that hold the truth with a chosen probability, whatever the model: split-conformal prediction (Vovk,
// Gammerman and Shafer 2005; Lei et al. 2018; Angelopoulos and Bates 2023).
//
// A score s(x, y) says how strange y is at x. From the scores of n calibration rows that the model has not seen,
//   q = the ceil((n + 1)(1 - alpha)) th smallest score, +infinity where that is more than n,
// and the set {y : s(x, y) <= q} holds the truth of a new exchangeable row with probability at least 1 - alpha; at most
// 1 - alpha + 1 / (n + 1) where scores do not tie. The probability is over calibration rows and new row together: for one
// calibration set the coverage is a draw of Beta(k, n + 1 - k), k the rank above.
//
//   classes   LAC: 1 - p_y, smallest sets (Sadinle, Lei and Wasserman 2019)
//             APS: p_y and all larger p together, ties by class number, sets that adapt to hard rows (Romano, Sesia and
//             Candes 2020, without randomisation)
//   numbers   |y - mean| or |y - mean| / sd
//
// Mondrian: a q per group, for instance per number of modalities that are there; the guarantee then holds in every group.
// A group too small for its own q (n < 1 / alpha - 1) falls back to that of all rows, which guarantees less, and the
// result says so.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// q of the scores, +infinity where they are too few. alpha in (0, 1); NaN is refused.
double conformal_quantile(const ConstVectorRef& scores, double alpha);

/// What calibration leaves to remember.
struct ConformalQuantiles {
  double alpha = 0.1;
  Eigen::Index rows = 0;
  double pooled = 0;                    ///< q of all rows
  std::map<int, double> by_group;       ///< q of the groups that are large enough
  std::map<int, Eigen::Index> too_few;  ///< rows of the groups that are not
  std::string note;                     ///< in words, where a group or all rows are too few; else empty

  /// The q of a group: its own, or the pooled one for groups too small or never seen.
  double of_group(int group) const;
  /// One q per row.
  Vector of_rows(std::span<const int> groups) const;
};
/// Scores of calibration rows; groups: one number per row, or none.
ConformalQuantiles fit_conformal(const ConstVectorRef& scores, double alpha, std::span<const int> groups = {});

enum class ClassScore { lac, aps };
/// The score of every class: n x C probabilities -> n x C. Rows sum to 1; for an event use two columns 1 - p, p.
Matrix class_conformity(ClassScore kind, const ConstMatrixRef& probability);
/// The score of each row's own class.
Vector scores_of_classes(const ConstMatrixRef& conformity, std::span<const int> classes);

using Flags = Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic>;
/// Which classes are in each row's set: conformity <= q. q: one per row, or one for all. A set may be empty: no class is
/// as usual as the level asks for.
Flags prediction_sets(const ConstMatrixRef& conformity, const ConstVectorRef& q);

struct SetScores {
  double coverage = 0;
  double low = 0, high = 1;  ///< 95 % interval (Wilson) of the coverage
  double mean_size = 0;
  double empty = 0, single = 0;  ///< shares of rows whose set has no class, or one
};
SetScores set_scores(const Flags& sets, std::span<const int> classes);
/// Whether each row's own class is in its set: n x 1.
Flags covered_classes(const Flags& sets, std::span<const int> classes);

/// |target - mean| / deviation. Deviations are positive; without them, 1.
Vector residual_scores(const ConstVectorRef& mean, const ConstVectorRef& target);
Vector residual_scores(const ConstVectorRef& mean, const ConstVectorRef& target, const ConstVectorRef& deviation);

/// mean - q deviation to mean + q deviation. q: one per row, or one for all.
struct PredictionIntervals {
  Vector low, high;
};
PredictionIntervals conformal_intervals(const ConstVectorRef& mean, const ConstVectorRef& q);
PredictionIntervals conformal_intervals(const ConstVectorRef& mean, const ConstVectorRef& q,
                                        const ConstVectorRef& deviation);

/// How often a flag is set in each group.
struct GroupCoverage {
  int group = 0;
  Eigen::Index rows = 0;
  double coverage = 0;
  double low = 0, high = 1;  ///< 95 % interval (Wilson)
};
std::vector<GroupCoverage> coverage_by_group(const Flags& covered, std::span<const int> groups);

}  // namespace clearway
