// Experts with a linear predictor for every class but the last, multinomial and conditional logit: log-probabilities,
// score rows and Hessian. Formulas: clearway/core/experts/multinomial.hpp and conditional_logit.hpp; layout of the
// parameters: clearway/stat/expert.hpp.
#pragma once

#include "clearway/stat/expert.hpp"

namespace clearway::detail {

/// Logarithm of the class probabilities: n x c.
Matrix logit_log_probabilities(const Expert& expert, const ConstMatrixRef& x);
/// d log P(y_t) / d theta for every row: n x parameters.
Matrix logit_score_rows(const Expert& expert, const Data& data);
/// sum_t r_t d2 log P(y_t) / d theta2, negative semi-definite.
Matrix logit_hessian(const Expert& expert, const Data& data, const ConstVectorRef& r);

}  // namespace clearway::detail
