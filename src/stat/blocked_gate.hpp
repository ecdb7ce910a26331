// The gate over the rows of the general engine, block by block: log-weights, levels, and the M-step.
//
// M-step: maximise Q = sum_t sum_k r_tk log w_k(x_t) over the gate, by Fisher scoring. At every level of the gate (see
// GateLevel) with pooled responsibilities R_tm = sum of r_tk over the experts below member m, R_t = sum_m R_tm,
//   gradient     sum_t J_m' (R_tm - R_t p_tm)
//   information  sum_t R_t p_tm (delta_ml - p_tl) J_m' J_l         (Jordan and Jacobs 1994 for hierarchical gates)
// so the levels of a hierarchical gate are separate problems that share one step.
#pragma once

#include <vector>

#include "clearway/stat/mixture_model.hpp"
#include "em_engine.hpp"

namespace clearway::detail {

class BlockedGate {
 public:
  /// All arguments outlive this object.
  BlockedGate(const std::vector<Data>& blocks, const Gate& prototype, const ParameterMap& map,
              const EngineSettings& settings, double total_weight, int threads);

  /// n x k of block b.
  Matrix log_weights(const Gate& gate, std::size_t b) const;
  /// Levels of block b, without top-k selection.
  std::vector<GateLevel> levels(const Gate& gate, std::size_t b) const;
  /// Features divided by the temperature, of a linear gate.
  const Matrix& features(std::size_t b) const { return features_[b]; }

  /// One step for r (rows in data order, case weights included), damped until Q minus the ridge penalty does not fall.
  /// Returns whether it moved. Top-k selection is left out of account.
  bool improve(const Matrix& r, Gate& gate) const;
  /// Where one undamped step for r leads, free gate parameters only, as a direction from the present ones. With
  /// `selected` the rows keep the experts that top-k selects for them now (flat gates only).
  Vector direction(const Matrix& r, const Gate& gate, bool selected) const;
  /// The gate moved by a direction, within the bounds of its parameters.
  Gate moved(const Gate& gate, const Vector& direction) const;

 private:
  struct System {
    double value = 0;         ///< Q minus the penalty
    Vector gradient = {};     ///< free gate parameters
    Matrix information = {};  ///< the same, squared
  };

  double objective(const Matrix& r, const Gate& gate) const;
  System system(const Matrix& r, const Gate& gate, bool selected) const;
  void add_level(const GateLevel& level, const Matrix& r, System& sum) const;
  auto rows_of(const Matrix& r, std::size_t b) const { return r.middleRows(begins_[b], blocks_[b].rows()); }

  const std::vector<Data>& blocks_;
  const ParameterMap& map_;
  const EngineSettings& settings_;
  double total_weight_;
  int threads_;
  Eigen::Index free_ = 0;             ///< free gate parameters, the first of all free parameters
  std::vector<Eigen::Index> begins_;  ///< first row of each block
  std::vector<Matrix> features_;      ///< per block, divided by the temperature; empty for gates that are not linear
};

}  // namespace clearway::detail
