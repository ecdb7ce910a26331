#include "clearway/stat/cross_validation.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "clearway/stat/predictive_scores.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr std::uint64_t kFoldStream = 77;

}  // namespace

// Weighted mean over rows and its standard error sqrt(sum_g (sum_{i in g} w_i (s_i - mean))^2) / sum w, every row a group
// of its own unless there are groups.
ScoreEstimate mean_score(const Vector& scores, const Data& data) {
  const Vector w = data.weights.size() ? data.weights : Vector::Ones(scores.size());
  ScoreEstimate out;
  const double total = w.sum();
  out.value = w.dot(scores) / total;
  std::map<int, double> sums;
  for (Index i = 0; i < scores.size(); ++i)
    sums[data.groups.empty() ? static_cast<int>(i) : data.groups[static_cast<std::size_t>(i)]] +=
        w(i) * (scores(i) - out.value);
  double squares = 0;
  for (const auto& [group, sum] : sums) squares += sum * sum;
  const auto count = static_cast<double>(sums.size());
  out.error = std::sqrt(squares * (count > 1 ? count / (count - 1) : 1.0)) / total;
  return out;
}

std::vector<int> cross_validation_folds(Index rows, int folds, std::int64_t seed, const std::vector<int>& groups) {
  std::vector<std::size_t> unit(static_cast<std::size_t>(rows));  // what is dealt: the row or its group
  std::map<int, std::size_t> numbers;
  for (std::size_t i = 0; i < unit.size(); ++i)
    unit[i] = groups.empty() ? i : numbers.try_emplace(groups[i], numbers.size()).first->second;
  const std::size_t count = groups.empty() ? unit.size() : numbers.size();
  if (folds < 2 || static_cast<std::size_t>(folds) > count)
    user_error("folds must be at least 2 and at most the number of {} ({}), not {}", groups.empty() ? "rows" : "groups",
               count, folds);
  RandomStream stream(static_cast<std::uint64_t>(seed), kFoldStream);
  std::vector<int> of_unit(count);
  const std::vector<std::size_t> order = stream.permutation(count);
  for (std::size_t i = 0; i < count; ++i) of_unit[order[i]] = static_cast<int>(i % static_cast<std::size_t>(folds));
  std::vector<int> fold;
  for (const std::size_t u : unit) fold.push_back(of_unit[u]);
  return fold;
}

void cross_validate_fold(const Data& data, const FitOptions& options, const MixtureModel& start,
                         const std::vector<int>& folds, int fold, CrossValidation& result) {
  std::vector<Index> kept, held;
  for (Index i = 0; i < data.rows(); ++i) (folds[static_cast<std::size_t>(i)] == fold ? held : kept).push_back(i);
  const Data training = data.subset(kept);
  const Data test = data.subset(held);
  const FitResult found = fit(training, options, &start);
  const PredictiveScores scores = predictive_scores(found.model, test, options.seed);
  for (std::size_t i = 0; i < held.size(); ++i) {
    const auto at = static_cast<Index>(i);
    result.log_scores(held[i]) = scores.log_score(at);
    result.squared_errors(held[i]) = scores.squared_error(at);
    result.crps_scores(held[i]) = scores.crps(at);
  }
}

void finish_cross_validation(const Data& data, CrossValidation& result) {
  result.log_score = mean_score(result.log_scores, data);
  result.crps = mean_score(result.crps_scores, data);
  const ScoreEstimate squares = mean_score(result.squared_errors, data);
  result.rmse.value = std::sqrt(squares.value);
  result.rmse.error = squares.error / (2 * result.rmse.value);
}

CrossValidation cross_validate(const Data& data, const FitOptions& options, const MixtureModel& start,
                               const std::vector<int>& folds) {
  CrossValidation result;
  result.folds = 1 + *std::max_element(folds.begin(), folds.end());
  result.log_scores = result.squared_errors = result.crps_scores = Vector::Zero(data.rows());
  parallel_for(static_cast<std::size_t>(result.folds), options.threads, [&](std::size_t fold) {
    cross_validate_fold(data, options, start, folds, static_cast<int>(fold), result);
  });
  finish_cross_validation(data, result);
  return result;
}

}  // namespace clearway
