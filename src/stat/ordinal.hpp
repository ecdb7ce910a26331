// Ordinal experts (cumulative logits): log-probabilities, score rows and Hessian. Formula and layout:
// clearway/core/experts/ordinal.hpp; parameters [intercept, slopes (d), logarithms of the gaps (c - 2)].
#pragma once

#include "clearway/stat/expert.hpp"

namespace clearway::detail {

/// Logarithm of the class probabilities: n x c.
Matrix ordinal_log_probabilities(const Expert& expert, const ConstMatrixRef& x);
/// d log P(y_t) / d theta for every row: n x parameters.
Matrix ordinal_score_rows(const Expert& expert, const Data& data);
/// sum_t r_t d2 log P(y_t) / d theta2.
Matrix ordinal_hessian(const Expert& expert, const Data& data, const ConstVectorRef& r);
/// Sets intercept and gaps so that classes have these probabilities (c positive numbers) where the slopes are 0.
void set_ordinal_margins(Expert& expert, const Vector& probabilities);

}  // namespace clearway::detail
