// What inference needs of the rows, as sums over them, so that rows may come in chunks: score, observed information, the
// cross-product of row scores, average gate weights, and what experts lose when they are merged.
#pragma once

#include <vector>

#include "clearway/stat/inference.hpp"
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
  const ParameterMap& map() const { return map_; }
  double total_weight() const { return total_weight_; }
  const Vector& score() const { return score_; }              ///< of the likelihood, without ridge
  const Matrix& information() const { return information_; }  ///< the same
  const Matrix& crossproduct() const { return crossproduct_; }
  Shares shares() const;
  /// Of the rows of the first call, brought to the weight of all: exact where there was one call.
  std::vector<MergeLoss> merges() const;

 private:
  const FitResult& result_;
  Scaling scaling_;
  StandardErrorKind kind_;
  MixtureModel standard_;
  EngineSettings settings_;
  ParameterMap map_;
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
