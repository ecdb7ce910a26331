#include "score_checks.hpp"

#include <cmath>

#include "clearway/base/errors.hpp"

namespace clearway::detail {

using Eigen::Index;

namespace {

template <class Rule>
void check_each(const char* what, const char* name, const ConstMatrixRef& values, const char* rule, Rule&& holds) {
  for (Index j = 0; j < values.cols(); ++j)
    for (Index i = 0; i < values.rows(); ++i)
      if (!holds(values(i, j))) {
        if (values.cols() == 1) user_error("{}: every {} must be {}; row {} has {}", what, name, rule, i, values(i, j));
        user_error("{}: every {} must be {}; row {}, column {} has {}", what, name, rule, i, j, values(i, j));
      }
}

}  // namespace

void check_lengths(const char* what, Index predictions, Index targets) {
  if (predictions != targets) user_error("{}: {} predictions but {} targets", what, predictions, targets);
  if (predictions == 0) user_error("{}: there are no rows", what);
}

void check_numbers(const char* what, const char* name, const ConstMatrixRef& values) {
  check_each(what, name, values, "a number", [](double v) { return !std::isnan(v); });
}

void check_finite(const char* what, const char* name, const ConstMatrixRef& values) {
  check_each(what, name, values, "a finite number", [](double v) { return std::isfinite(v); });
}

void check_binary(const char* what, const ConstMatrixRef& targets) {
  check_each(what, "target", targets, "0 or 1", [](double v) { return v == 0 || v == 1; });
}

void check_probabilities(const char* what, const ConstMatrixRef& probabilities) {
  check_each(what, "probability", probabilities, "between 0 and 1", [](double v) { return v >= 0 && v <= 1; });
}

void check_distributions(const char* what, const ConstMatrixRef& probabilities) {
  check_probabilities(what, probabilities);
  constexpr double kSlack = 1e-4;
  for (Index i = 0; i < probabilities.rows(); ++i)
    if (const double sum = probabilities.row(i).sum(); std::abs(sum - 1) > kSlack)
      user_error("{}: the probabilities of a row must sum to 1; row {} sums to {}", what, i, sum);
}

void check_deviations(const char* what, const ConstMatrixRef& deviations) {
  check_each(what, "standard deviation", deviations, "positive and finite",
             [](double v) { return v > 0 && std::isfinite(v); });
}

void check_classes(const char* what, std::span<const int> classes, Index rows, Index count) {
  check_lengths(what, rows, static_cast<Index>(classes.size()));
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (classes[i] < 0 || classes[i] >= count)
      user_error("{}: every class must lie in 0..{}; row {} has {}", what, count - 1, i, classes[i]);
}

}  // namespace clearway::detail
