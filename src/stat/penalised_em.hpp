// The EM of a penalised mixture of experts on the working scale; see clearway/stat/penalised.hpp.
#pragma once

#include <vector>

#include "clearway/stat/mixture_model.hpp"
#include "em_engine.hpp"

namespace clearway::detail {

/// Total masses of the penalty: l1 |s| + l2 s^2 / 2 for every slope.
struct PenaltyMass {
  double expert_l1 = 0, expert_l2 = 0;
  double gate_l1 = 0, gate_l2 = 0;
};

/// Slopes that may differ from zero; empty: all.
struct SlopeSupport {
  std::vector<std::vector<bool>> experts;  ///< [expert][input]
  std::vector<std::vector<bool>> gate;     ///< [expert][input]
  bool expert(std::size_t k, Eigen::Index j) const {
    return experts.empty() || experts[k][static_cast<std::size_t>(j)];
  }
  bool gate_row(std::size_t k, Eigen::Index j) const { return gate.empty() || gate[k][static_cast<std::size_t>(j)]; }
};

/// minimise over (b, s): 1/2 sum v (D(b, s))^2 - sum g D(b, s) + l1 |s| + l2 |s|^2 / 2, D = (b - b0) + x'(s - s0): the
/// step of proximal Newton for an objective with gradient g and curvature v in the linear predictor. `slopes` and
/// `intercept` hold b0, s0 and get the minimiser; x is n x p.
void proximal_newton(const Matrix& x, const Vector& v, const Vector& g, double l1, double l2,
                     const std::vector<bool>& free, double& intercept, Vector& slopes);

class PenalisedEm {
 public:
  /// `standard` on the working scale. The support must outlive it.
  PenalisedEm(const Data& standard, const MixtureModel& prototype, const PenaltyMass& mass, const SlopeSupport& support,
              double sigma_floor);

  /// One EM step; returns the penalised log-likelihood before it.
  double step(MixtureModel& model) const;
  double objective(const MixtureModel& model) const;
  double penalty(const MixtureModel& model) const;
  /// Largest violation of the optimality conditions per unit of weight: |score| beyond what the penalty allows.
  double violation(const MixtureModel& model) const;
  /// Climbs by EM with squared extrapolation until the violation is below the tolerance. Returns iterations; `history`
  /// gets the objective before each.
  int climb(MixtureModel& model, int max_iterations, double tolerance, std::vector<double>& history) const;

 private:
  Matrix responsibilities(const MixtureModel& model, double& value) const;
  void update_expert(Expert& expert, std::size_t k, const Vector& r) const;
  void update_gate(MixtureModel& model, const Matrix& r) const;

  const Data& data_;
  PenaltyMass mass_;
  const SlopeSupport& support_;
  double sigma_floor_;
  double total_weight_;
  ParameterMap map_;
};

}  // namespace clearway::detail
