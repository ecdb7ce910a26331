// The search for the least sum of squares: short runs of Levenberg-Marquardt from many starts, the best polished.
//
// Starts: regions of the gate's inputs (a regression function divides the inputs, not the responses), the starts of EM
// (k-means on inputs and response, local planes, random memberships), half of them after a few iterations of EM, and the
// best solution with one expert less, one of its experts split in two. Every start has its own random stream.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clearway/stat/fit.hpp"
#include "em_engine.hpp"
#include "levenberg_marquardt.hpp"
#include "start_pool.hpp"
#include "starts.hpp"

namespace clearway::detail {

/// One polished solution on the working scale.
struct LeastSquaresSolution {
  MixtureModel model;
  LeastSquaresOutcome outcome;
  std::size_t start = 0;  ///< index of its start record
};

class LeastSquaresSearch {
 public:
  /// All arguments must outlive it. `prototype`: a model of the right shape with the form `regression`.
  LeastSquaresSearch(const Data& data, const FitOptions& options, const Scaling& scaling, const MixtureModel& prototype,
                     const ProgressCallback& progress);

  /// A start of the caller, on the working scale; before run().
  void add_start(const MixtureModel& model, StartKind kind);
  /// Searches. Throws std::runtime_error when no start gives a finite sum of squares.
  void run();

  const std::vector<LeastSquaresSolution>& solutions() const { return solutions_; }
  /// short_log_likelihood and log_likelihood hold sums of squares over all rows.
  const std::vector<StartRecord>& records() const { return pool_.records; }
  const LeastSquaresSolution& best() const;
  /// Polished starts that ended at the winner's sum of squares.
  int agreeing() const;
  /// The problem over all rows.
  const LeastSquaresProblem& problem() const { return *problem_; }
  LeastSquaresProblem& problem() { return *problem_; }
  /// Settings of a polished run.
  LeastSquaresSettings settings(std::size_t start) const;

 private:
  void prepare_starts();
  void short_runs(std::size_t first, std::size_t count);
  MixtureModel make_start(std::size_t number, StartKind kind);
  void continue_run(std::size_t start, int iterations);
  void polish_best(std::size_t count);
  void polish(const std::vector<std::size_t>& chosen);
  double same_optimum(double least) const;
  void add_split_starts();
  void report(double fraction, const std::string& what) const;

  const Data& data_;
  const FitOptions& options_;
  const Scaling& scaling_;
  const MixtureModel& prototype_;
  const ProgressCallback& progress_;
  MixtureModel mixture_prototype_;  // what the starts of EM work on
  StartRows rows_;
  Data region_data_;
  std::optional<StartMaker> maker_, region_maker_;
  std::optional<LeastSquaresProblem> problem_, sample_problem_;
  EngineSettings engine_settings_;
  int threads_;
  StartPool pool_;
  std::vector<LeastSquaresSolution> solutions_;
};

/// A model with expert `divided` in two, which share its weight and are moved apart by `distance` (relative to the size
/// of their parameters; 0: exactly the same function). Empty for gates that cannot share a weight.
std::optional<MixtureModel> split_expert(const MixtureModel& model, const MixtureModel& prototype, int divided,
                                         double distance, RandomStream& stream);

}  // namespace clearway::detail
