// One EM iteration, the objective, its gradient and its curvature, for one model on one data set: what every optimiser
// of src/stat needs and all it may know. Two engines implement it: a general one for every gate and expert, and a fast
// one for single-index experts behind a gate with linear scores.
#pragma once

#include <memory>
#include <vector>

#include "clearway/stat/mixture_model.hpp"
#include "scaling.hpp"

namespace clearway::detail {

/// Fixed settings of an engine, on the working (standardised) scale.
struct EngineSettings {
  double sigma_floor = 1e-3;  ///< smallest noise level, absolute
  double gate_ridge = 0.0;    ///< penalty 0.5 * ridge * sum(weights) * |gate parameters without intercepts|^2
  int threads = 1;
};

/// Which entries of the gate and the experts make up the vector of free parameters, and their bounds.
///
/// Order: gate parameters that are not pinned (block by block), then the parameters of expert 0, 1, ..., then the shared
/// log sigma (where shared), then logit(eps) (where there is a noise component).
struct ParameterMap {
  std::vector<int> gate;                  ///< flat gate parameter -> free index or -1
  std::vector<std::vector<int>> experts;  ///< [expert][parameter] -> free index
  int noise = -1;                         ///< free index of logit(eps) or -1
  int size = 0;
  std::vector<bool> penalised;  ///< free index -> takes part in the gate ridge
  Vector lower, upper;          ///< bounds of the free parameters

  ParameterMap() = default;
  ParameterMap(const MixtureModel& prototype, const EngineSettings& settings);
  Vector pack(const MixtureModel& model) const;
  /// Writes free parameters (clamped to their bounds) into a model of the prototype's shape.
  void unpack(const Vector& free, MixtureModel& model) const;
};

/// -0.5 * ridge * |penalised gate parameters|^2.
double gate_penalty(const Gate& gate, const ParameterMap& map, double ridge);

class EmEngine {
 public:
  EmEngine(const MixtureModel& prototype, const EngineSettings& settings, double total_weight)
      : map_(prototype, settings), settings_(settings), total_weight_(total_weight) {}
  virtual ~EmEngine() = default;

  const ParameterMap& map() const { return map_; }
  const EngineSettings& settings() const { return settings_; }
  double total_weight() const { return total_weight_; }

  /// Replaces the model by its EM update and returns the penalised log-likelihood it had BEFORE the update.
  virtual double step(MixtureModel& model) = 0;
  /// Penalised log-likelihood.
  virtual double objective(const MixtureModel& model) = 0;
  /// Gradient of the objective in the free parameters; minus its Hessian too when `information` is given.
  /// Returns the objective.
  virtual double derivatives(const MixtureModel& model, Vector& score, Matrix* information) = 0;
  /// Forgets everything about earlier steps (call after a jump).
  virtual void reset() {}
  /// The M-step from given responsibilities (n x k, rows in data order): the first step of a start. The gate makes at
  /// most `gate_steps` Newton steps from equal weights (experts other than linear Gaussian: some from a gate that is not
  /// zero); 0 leaves it.
  virtual void maximise(const Matrix& responsibilities, int gate_steps, MixtureModel& model) = 0;

  /// The penalty term of the objective (not positive) at a model.
  double penalty(const MixtureModel& model) const;
  /// Changes the ridge: a separated gate is refitted with it.
  void set_gate_ridge(double ridge) { settings_.gate_ridge = ridge; }

 protected:
  ParameterMap map_;
  EngineSettings settings_;
  double total_weight_;
};

/// The engine that fits the model best: fast where possible. `data` is on the scale of the user; the engine keeps its own
/// copy on the working scale, on which all models it sees must be.
std::unique_ptr<EmEngine> make_engine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                      const EngineSettings& settings);
/// The general engine, whatever the model.
std::unique_ptr<EmEngine> make_general_engine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                              const EngineSettings& settings);
/// The fast engine, or nothing when the model is not of its kind.
std::unique_ptr<EmEngine> make_single_index_engine(const Data& data, const Scaling& scaling,
                                                   const MixtureModel& prototype, const EngineSettings& settings);

}  // namespace clearway::detail
