// The search for the best optimum: short runs from many starts, the best polished, the worst-explained rows given an
// expert of their own, smaller models that the model contains as further starts; until the evidence suffices.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"
#include "em_engine.hpp"
#include "optimise.hpp"
#include "start_pool.hpp"
#include "starts.hpp"

namespace clearway::detail {

/// One polished solution on the working scale.
struct Solution {
  MixtureModel model;
  OptimiseOutcome outcome;
  std::size_t start = 0;    ///< index of its start record
  bool degenerate = false;  ///< an expert sits at the noise floor
  double penalty = 0;       ///< part of the objective that is no likelihood (not positive)
};

class Tournament {
 public:
  /// All arguments must outlive it. `prototype` has the shape of the model; models are on the working scale.
  Tournament(const Data& data, const FitOptions& options, const Scaling& scaling, const MixtureModel& prototype,
             const EngineSettings& settings, const OptimiseSettings& optimise_settings,
             const ProgressCallback& progress);

  /// A start of the caller, on the working scale; before run().
  void add_user_start(const MixtureModel& model);
  /// Searches. Throws std::runtime_error when no start gives a finite likelihood.
  void run();

  const std::vector<Solution>& solutions() const { return solutions_; }
  const std::vector<StartRecord>& records() const { return pool_.records; }
  /// What the spectral start said about its assumptions.
  const std::vector<std::string>& diagnoses() const { return diagnoses_; }
  /// The best solution; degenerate ones count only when asked for. Null when there is none.
  const Solution* best(bool degenerate_too) const;
  /// Independent polished starts that ended at the same optimum (the winner included).
  int agreeing(const Solution& winner) const;
  /// Whether moving an expert to the worst-explained rows led back to the same optimum or a worse one.
  bool stable_under_reseeding() const { return stable_under_reseeding_; }
  bool is_degenerate(const MixtureModel& model) const;
  bool noise_vanishes_somewhere(const MixtureModel& model) const;
  /// The engine over all rows.
  EmEngine& engine();

 private:
  double total_weight() const { return data_.weights.size() ? data_.weights.sum() : static_cast<double>(data_.rows()); }
  EngineSettings serial_settings() const;
  void report(double fraction, const std::string& what) const;
  StartKind kind_of(std::size_t number) const;
  void short_runs(std::size_t first, std::size_t count);
  void continue_run(std::size_t start, EmEngine& engine, int iterations);
  void reseeded_runs(const Solution& best);
  void polish_best(int count);
  void polish(const std::vector<std::size_t>& chosen);
  Solution polish_one(std::size_t start, EmEngine& engine);
  void check_nested();
  double constant_gate_objective(const Solution& solution) const;
  bool overlaps(const Solution& solution) const;
  bool reseed_improves();
  double smallness() const;
  int first_batch() const;
  int polish_count(bool overlapping) const;

  const Data& data_;
  const FitOptions& options_;
  const Scaling& scaling_;
  const MixtureModel& prototype_;
  const EngineSettings& settings_;
  const OptimiseSettings& optimise_settings_;
  const ProgressCallback& progress_;
  StartRows rows_;
  std::optional<StartMaker> maker_;
  bool spectral_applies_ = false;
  bool stable_under_reseeding_ = false;
  std::unique_ptr<EmEngine> engine_;
  StartPool pool_;
  std::vector<Solution> solutions_;
  std::vector<std::string> diagnoses_;
};

}  // namespace clearway::detail
