// K-fold cross-validation of a mixture of experts: predictive log-likelihood, root mean squared error and CRPS, with
// standard errors.
//
// Rows are dealt to folds at random, or whole groups of repeated measures; every row is held out exactly once, and folds depend on the
// number of rows, the number of folds and the seed only, so that candidates are compared on the same folds. Standard
// errors are those of a (weighted) mean over rows; the root's by the delta method.
#pragma once

#include <limits>
#include <vector>

#include "clearway/stat/fit.hpp"

namespace clearway {

/// A mean over held-out rows and its standard error.
struct ScoreEstimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();
};

/// What cross-validation says of one candidate.
struct CrossValidation {
  int folds = 0;
  Vector log_scores;        ///< per row, log p(y | x) under the model that has not seen the row
  Vector squared_errors;    ///< per row
  Vector crps_scores;       ///< per row
  ScoreEstimate log_score;  ///< mean log p per unit of weight, larger is better
  ScoreEstimate rmse;       ///< smaller is better; NaN for classes
  ScoreEstimate crps;       ///< smaller is better (classes: Brier score; vectors: energy score)
};

/// Number of the fold (from 0) of every row: sizes differ by at most one. With `groups` (one number per row) groups are
/// dealt instead of rows, so that no group is split. Throws std::invalid_argument unless 2 <= folds <= rows (groups).
std::vector<int> cross_validation_folds(Eigen::Index rows, int folds, std::int64_t seed,
                                        const std::vector<int>& groups = {});

/// The fit of one fold: the model of the rows whose fold is not `fold`, started from `start` (the fit to all rows) and
/// from the starts that the options ask for. Fills the rows of the fold in `result`, whose vectors must have n elements.
void cross_validate_fold(const Data& data, const FitOptions& options, const MixtureModel& start,
                         const std::vector<int>& folds, int fold, CrossValidation& result);

/// Weighted mean of one number per row of these data and its standard error; with groups that of group sums.
ScoreEstimate mean_score(const Vector& scores, const Data& data);

/// Means and standard errors from the scores per row of these data; with groups the errors are those of group sums.
void finish_cross_validation(const Data& data, CrossValidation& result);

/// All folds, in parallel over folds with options.threads.
CrossValidation cross_validate(const Data& data, const FitOptions& options, const MixtureModel& start,
                               const std::vector<int>& folds);

}  // namespace clearway
