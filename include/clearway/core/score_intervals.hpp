// How sure a score is: percentile intervals from the bootstrap, of one score and of the difference of two on the same
// rows (Efron and Tibshirani 1993, ch. 13; Davison and Hinkley 1997, ch. 5).
//
// A resample is a weight per row: how often the row was drawn, 0 1 2 ... A score takes these weights, so that what does
// not change between resamples (a sorting, a term per row) is computed once. Where groups are given (subjects with
// several rows) whole groups are drawn, as many as there are, and all rows of a group have its weight.
//
// Resample r has the random stream (seed, r) and both scores of a difference see the same resamples. Results do not
// depend on the number of threads. These are intervals over rows (or subjects) for fitted models as they are: they do
// not contain what another training run would change.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "clearway/core/types.hpp"

namespace clearway {

/// A score of rows of which row i counts weights[i] times; NaN where it does not exist for these weights. Called from
/// several threads at once.
using WeightedScore = std::function<double(std::span<const double> weights)>;

/// AUROC and average precision: the rows are sorted once, here. Errors as in binary_scores.hpp.
WeightedScore weighted_auroc(const ConstVectorRef& score, const ConstVectorRef& target);
WeightedScore weighted_average_precision(const ConstVectorRef& score, const ConstVectorRef& target);
/// The mean of one term per row: Brier score, log-loss, accuracy, absolute error ...
WeightedScore weighted_mean(Vector terms);
/// Any score, from the numbers of the rows drawn, each as often as it was drawn, in increasing order: for instance
/// [&](std::span<const Eigen::Index> rows) { return f1(p(rows), y(rows)); }.
WeightedScore score_of_rows(std::function<double(std::span<const Eigen::Index> rows)> score);

struct BootstrapOptions {
  int replications = 1000;  ///< at least 2
  double level = 0.95;      ///< in (0, 1)
  std::uint64_t seed = 1;
  int threads = 1;                           ///< 0: all cores
  std::span<const std::int64_t> group = {};  ///< one number per row, in any order; empty: every row is its own group
};

struct ScoreInterval {
  double estimate = 0;        ///< on the rows as they are
  double low = 0, high = 0;   ///< quantiles of the replications; NaN where fewer than 2 are defined
  double standard_error = 0;  ///< standard deviation of the replications; NaN likewise
  int undefined = 0;          ///< resamples without a score (one class only), left out
};
/// std::invalid_argument for rows < 1, options out of their bounds and groups of another length than rows.
ScoreInterval bootstrap_score(const WeightedScore& score, Eigen::Index rows, const BootstrapOptions& options = {});

struct ScoreDifference {
  double first = 0, second = 0;   ///< the two scores on the rows as they are
  ScoreInterval difference = {};  ///< of first - second
  /// Two-sided: 2 min(1 + #{d* <= 0}, 1 + #{d* >= 0}) / (R + 1), at most 1; the smallest level at which the percentile
  /// interval leaves out 0. NaN where no resample is defined.
  double p_value = 1;
};
ScoreDifference bootstrap_difference(const WeightedScore& first, const WeightedScore& second, Eigen::Index rows,
                                     const BootstrapOptions& options = {});

}  // namespace clearway
