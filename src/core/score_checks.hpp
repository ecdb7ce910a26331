// What every score asks of predictions and targets.
#pragma once

#include <span>

#include "clearway/core/types.hpp"

namespace clearway::detail {

/// At least one row, and as many in both. `what` begins every message.
void check_lengths(const char* what, Eigen::Index predictions, Eigen::Index targets);
/// No NaN.
void check_numbers(const char* what, const char* name, const ConstMatrixRef& values);
/// Neither NaN nor infinite.
void check_finite(const char* what, const char* name, const ConstMatrixRef& values);
/// 0 or 1 only.
void check_binary(const char* what, const ConstMatrixRef& targets);
/// In [0, 1].
void check_probabilities(const char* what, const ConstMatrixRef& probabilities);
/// Probabilities whose rows sum to 1, up to what single precision or a file of few digits loses.
void check_distributions(const char* what, const ConstMatrixRef& probabilities);
/// Class numbers in 0 .. count - 1, one per row of `rows`.
void check_classes(const char* what, std::span<const int> classes, Eigen::Index rows, Eigen::Index count);
/// Positive and finite.
void check_deviations(const char* what, const ConstMatrixRef& deviations);

}  // namespace clearway::detail
