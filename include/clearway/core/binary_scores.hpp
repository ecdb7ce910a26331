// How good predictions of an event are: ranking (AUROC, average precision), probability (Brier, log-loss, calibration
// error) and decision (F1).
//
//   AUROC              P(score of an event > score of a non-event) + P(equal) / 2 = (R_1 / n_1 - (n_1 + 1) / 2) / n_0,
//                      R_1 the sum of the events' mid-ranks (Hanley and McNeil 1982; Mann and Whitney 1947)
//   average precision  sum over thresholds t of (recall(t) - recall(before t)) precision(t), without interpolation: what
//                      is often called AUPRC. Rows of equal score pass the threshold together.
//   Brier score        mean (p - y)^2 (Brier 1950, the form for one of two classes)
//   log-loss           -mean (y log p + (1 - y) log(1 - p)), p held within 2^-52 and 1 - 2^-52, so that one sure and wrong
//                      answer costs 36 nats and not everything
//   calibration error  ECE = sum over bins of (n_b / n) |mean p - rate of events| (Naeini, Cooper and Hauskrecht 2015), on
//                      bins of equal mass (Nixon et al. 2019). It is biased upwards by about the noise of the rates.
//   F1                 2 TP / (2 TP + FP + FN); the answer is yes where score >= threshold
//
// Everywhere: n scores and n targets, each target 0 or 1, n >= 1. std::invalid_argument for other targets, for lengths
// that differ, for NaN among the scores, and for probabilities outside of [0, 1] where probabilities are asked for.
// A score that does not exist for these targets (one class only) is an empty std::optional.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "clearway/core/types.hpp"

namespace clearway {

/// Scores sorted once, for statistics of ranks under many weightings of the same rows (the bootstrap).
class RankedScores {
 public:
  RankedScores(const ConstVectorRef& score, const ConstVectorRef& target);
  Eigen::Index rows() const { return static_cast<Eigen::Index>(order_.size()); }
  /// AUROC where row i counts weights[i] >= 0 times (no weights: once). Empty where a class has no weight.
  std::optional<double> auroc(std::span<const double> weights = {}) const;
  /// Average precision likewise. Empty where events have no weight.
  std::optional<double> average_precision(std::span<const double> weights = {}) const;

  /// Calls visit(score, weight of non-events, weight of events) for every distinct score, from the highest down.
  template <class Visit>
  void each_threshold(std::span<const double> weights, Visit&& visit) const {
    check_weights(weights);
    for (std::size_t i = 0; i < order_.size();) {
      double weight[2] = {0, 0};
      const double score = score_[i];
      do {
        weight[static_cast<std::size_t>(event_[i])] += weights.empty() ? 1.0 : weights[order_[i]];
        ++i;
      } while (i < order_.size() && score_[i] == score);
      visit(score, weight[0], weight[1]);
    }
  }

 private:
  void check_weights(std::span<const double> weights) const;

  std::vector<std::size_t> order_;   ///< rows from the highest score down
  std::vector<double> score_;        ///< in that order
  std::vector<std::uint8_t> event_;  ///< in that order
};

/// Empty where only one class is there.
std::optional<double> auroc(const ConstVectorRef& score, const ConstVectorRef& target);
/// Empty where there is no event.
std::optional<double> average_precision(const ConstVectorRef& score, const ConstVectorRef& target);

double brier(const ConstVectorRef& probability, const ConstVectorRef& target);
double log_loss(const ConstVectorRef& probability, const ConstVectorRef& target);
/// The terms whose means these are, one per row.
Vector brier_terms(const ConstVectorRef& probability, const ConstVectorRef& target);
Vector log_loss_terms(const ConstVectorRef& probability, const ConstVectorRef& target);

/// One bin of a reliability diagram.
struct ReliabilityBin {
  Eigen::Index count = 0;
  double mean_predicted = 0;
  double observed_rate = 0;
  double low = 0, high = 1;  ///< 95 % interval (Wilson) of the rate
};
struct CalibrationError {
  double error = 0;                  ///< ECE, in [0, 1]
  std::vector<ReliabilityBin> bins;  ///< by increasing prediction; bins without rows are left out
};
/// Bins of equal mass: of n rows in increasing order, those at mid-rank r (from 1/2 to n - 1/2) lie in bin
/// floor(bins r / n). Rows of equal probability stay together, so that the order of the rows does not matter.
CalibrationError expected_calibration_error(const ConstVectorRef& probability, const ConstVectorRef& target,
                                            int bins = 10);

/// 0 where neither an event nor a yes is there.
double f1(const ConstVectorRef& score, const ConstVectorRef& target, double threshold = 0.5);
struct ChosenThreshold {
  double threshold = 0.5;
  double f1 = 0;
};
/// The threshold of the largest F1 on these rows: in the middle between two neighbouring scores, the highest of equals.
/// To be chosen on validation rows. Without events every F1 is 0 and the threshold is the highest score.
ChosenThreshold best_f1_threshold(const ConstVectorRef& score, const ConstVectorRef& target);

struct RocPoint {
  double false_positive_rate = 0, true_positive_rate = 0;
  double threshold = 0;  ///< rows with score >= threshold are called events; +infinity at (0, 0)
};
/// From (0, 0) to (1, 1), one point per distinct score. std::invalid_argument where only one class is there.
std::vector<RocPoint> roc_curve(const ConstVectorRef& score, const ConstVectorRef& target);

struct PrecisionRecallPoint {
  double recall = 0, precision = 1;
  double threshold = 0;
};
/// By falling threshold, one point per distinct score. std::invalid_argument where there is no event.
std::vector<PrecisionRecallPoint> precision_recall_curve(const ConstVectorRef& score, const ConstVectorRef& target);

}  // namespace clearway
