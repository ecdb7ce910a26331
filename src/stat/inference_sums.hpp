// What inference needs of the rows, as sums over them, so that rows may come in chunks: score, observed information, the
// cross-product of row scores, average gate weights, and what experts lose when they are merged.
//
// Covariances that experts have in common are no parameters of an engine. Sums are taken as if every expert had its own
// (theta) and reduced to the parameters psi of the form (covariance_chart.hpp), T: psi -> theta, at the end:
//   score J' s,   information J' A J - sum_i s_i d^2 T_i / d psi^2,   cross-product J' B J,   J = dT / d psi;
// s does not vanish at the estimate, only J' s does.
#pragma once

#include <optional>
#include <vector>

#include "clearway/stat/inference.hpp"
#include "covariance_chart.hpp"
#include "em_engine.hpp"
#include "inference_parameters.hpp"
#include "merge_loss.hpp"

namespace clearway::detail {

class InferenceSums {
 public:
  /// For a fitted mixture (not a regression function). `result` must outlive the sums.
  InferenceSums(const FitResult& result, const Scaling& scaling, StandardErrorKind kind, int threads);

  /// More parameters than an information matrix is made for: nothing is summed.
  bool too_many_parameters() const;

  /// Adds rows. `clusters`: for standard errors by cluster one number per row, all rows of a cluster in one call.
  void add(const Data& rows, const std::vector<int>& clusters = {});

  const Scaling& scaling() const { return scaling_; }
  const MixtureModel& standard() const { return standard_; }
  /// The free parameters. Those of a chart are the last ones; the experts' own covariance entries are then none.
  const ParameterMap& map() const { return chart_ ? reduced_ : map_; }
  const std::optional<CovarianceChart>& chart() const { return chart_; }
  /// With a chart: the experts whose noise is at the floor. The covariances then count as at a bound.
  const std::vector<int>& at_floor() const { return at_floor_; }
  double total_weight() const { return total_weight_; }
  Vector score() const;         ///< of the likelihood, without ridge
  Matrix information() const;   ///< the same
  Matrix crossproduct() const;  ///< of the row scores
  Vector free() const;          ///< the estimate; parameters of the chart are 0
  Matrix to_stacked() const;    ///< d stacked / d free
  Shares shares() const;
  /// Of the rows of the first call, brought to the weight of all: exact where there was one call.
  std::vector<MergeLoss> merges() const;

 private:
  void reduce(double sigma_floor);

  const FitResult& result_;
  Scaling scaling_;
  StandardErrorKind kind_;
  MixtureModel standard_;
  EngineSettings settings_;
  ParameterMap map_;  // of the engine
  std::optional<CovarianceChart> chart_;
  ParameterMap reduced_;
  Matrix reduction_;  // J
  std::vector<int> at_floor_;
  double total_weight_ = 0, first_weight_ = 0;
  Vector score_;
  Matrix information_, crossproduct_;
  Shares shares_;  // times the weight
  std::vector<MergeLoss> merges_;
};

/// infer() from sums.
Inference infer_from_sums(const FitResult& result, const ModelNames& names, const InferenceOptions& options,
                          const InferenceSums& sums);

}  // namespace clearway::detail
