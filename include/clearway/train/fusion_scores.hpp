// What is said about predictions of a fusion model: which scores fit which kind of target. No torch in this header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clearway/core/score_intervals.hpp"
#include "clearway/core/types.hpp"
#include "clearway/fusion/modality.hpp"

namespace clearway::train {

/// Predictions of n samples.
struct FusionPrediction {
  fusion::TargetKind kind = fusion::TargetKind::binary;
  /// n x outputs: probability of the event (binary: one column), of the classes, of the labels; means in the target's own units.
  Matrix mean;
  /// n x outputs: regression: standard deviation of the prediction; else that of the probability over members.
  Matrix deviation;
  /// n, in nats: how much members of an ensemble disagree; 0 for one member and for regression.
  Vector disagreement;

  FusionPrediction rows(const std::vector<Eigen::Index>& which) const;
};

/// Probability from which on the answer is yes: chosen on validation samples, one per output (binary, multi-label).
using FusionThresholds = Vector;

struct FusionScore {
  std::string name;
  bool larger_is_better = true;
  WeightedScore score;
};

/// The scores of a kind of target, the leading one first. target: n x 1 (event or class as a number) or n x outputs; NaN: a label
/// that is not known, left out. Without thresholds no F1 at a chosen threshold. The results keep what they need.
std::vector<FusionScore> fusion_scores(const FusionPrediction& prediction, const Matrix& target,
                                       const FusionThresholds& thresholds = {});

/// Thresholds of the largest F1 on these samples. Empty for other kinds than binary and multi-label.
FusionThresholds choose_thresholds(const FusionPrediction& prediction, const Matrix& target);

/// The score that a kind is led by: auroc (binary; mean over labels), accuracy, correlation.
std::string_view leading_score(fusion::TargetKind kind);

}  // namespace clearway::train
