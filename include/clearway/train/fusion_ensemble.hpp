// Trained fusion models together: their mean prediction, calibrated, with conformal sets or intervals and abstention.
//
// Members differ by seed only. Probabilities are means over members; means and variances of a number are those of the mixture of
// members' normal distributions. What calibrates, Platt's two numbers for an event, one temperature otherwise, one factor on
// standard deviations, is learned on validation samples; split-conformal quantiles are learned on the same samples after it, by
// number of modalities that are there where each number has enough samples for the level (Mondrian), else together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "clearway/core/calibration.hpp"
#include "clearway/core/conformal.hpp"
#include "clearway/deep/fusion_model.hpp"
#include "clearway/fusion/prepared.hpp"
#include "clearway/io/json.hpp"
#include "clearway/train/fusion_scores.hpp"
#include "clearway/train/fusion_task.hpp"

namespace clearway::train {

class FusionEnsemble {
 public:
  /// `target` needs no values.
  FusionEnsemble(const deep::FusionOptions& options, std::vector<fusion::ModalityShape> modalities,
                 const fusion::PreparedTarget& target);

  /// An untrained model with the weights of this seed (torch's generator is set to it).
  std::shared_ptr<deep::FusionModel> new_model(std::uint64_t seed) const;
  void add(std::shared_ptr<deep::FusionModel> member) { members_.push_back(std::move(member)); }
  const std::vector<std::shared_ptr<deep::FusionModel>>& members() const { return members_; }
  const fusion::PreparedTarget& target() const { return target_; }
  const deep::FusionOptions& options() const { return options_; }

  /// Calibrated once calibrate() was called or load_calibration(), unless `raw`. `present` replaces what is there.
  FusionPrediction predict(const FusionTensors& samples, const std::vector<std::int64_t>& rows,
                           const torch::Tensor& present = {}, bool raw = false) const;
  /// Targets of rows in their own units: n x 1 or n x outputs.
  Matrix targets(const FusionTensors& samples, const std::vector<std::int64_t>& rows) const;

  /// Learns calibration, thresholds, conformal quantiles for coverage `level`, and for risk > 0 from which top probability on
  /// the share of wrong answers stays below `risk`.
  void calibrate(const FusionTensors& samples, const std::vector<std::int64_t>& rows, double level, double risk);
  bool calibrated() const { return calibrated_; }
  const FusionThresholds& thresholds() const { return thresholds_; }
  double level() const { return level_; }

  /// Conformal sets of classes (binary: two columns, no and yes) for calibrated predictions. `there`: modalities present per row.
  /// Throws for kinds without classes.
  Flags sets(const FusionPrediction& prediction, std::span<const int> there) const;
  /// Conformal intervals of an output of a regression.
  PredictionIntervals intervals(const FusionPrediction& prediction, Eigen::Index output,
                                std::span<const int> there) const;
  /// Probability of the likeliest class below which a prediction abstains; 0: never.
  double abstain_below() const { return abstain_below_; }
  /// What calibrate() found unusual, in words.
  const std::vector<std::string>& notes() const { return notes_; }

  Json calibration_json() const;
  void load_calibration(const Json& json, const std::string& source);

 private:
  deep::FusionOptions options_;
  std::vector<fusion::ModalityShape> modalities_;
  fusion::PreparedTarget target_;
  std::vector<std::shared_ptr<deep::FusionModel>> members_;
  bool calibrated_ = false;
  double level_ = 0.9;
  Matrix calibration_;  ///< outputs x 2: slope and intercept; temperature; factor on standard deviations
  FusionThresholds thresholds_;
  std::vector<ConformalQuantiles> quantiles_;  ///< one for classes, one per output of a regression
  double abstain_below_ = 0;
  std::vector<std::string> notes_;

  void apply_calibration(FusionPrediction& prediction) const;
};

/// Probabilities with one column per class: an event's become no and yes.
Matrix class_columns(const FusionPrediction& prediction);
/// Modalities that are there, per row.
std::vector<int> modalities_there(const FusionTensors& samples, const std::vector<std::int64_t>& rows,
                                  const torch::Tensor& present = {});

}  // namespace clearway::train
