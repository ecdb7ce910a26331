// One guarded Newton step for a softmax gate with soft targets: the M-step of gate EM and of every node of a gate tree.
//
//   maximise Q(W) = (1/n) sum_t sum_i R_ti log softmax_i(W f_t) - ridge / 2 |W|^2,     last row of W pinned at 0
//
// R has any non-negative entries; m_t = sum_i R_ti is the mass of row t. Q is concave with gradient
// (1/n) sum_t (R_ti - m_t p_ti) f_t and Hessian blocks -(1/n) sum_t m_t p_ti (1{i=j} - p_tj) f_t f_t' (Jordan and
// Jacobs 1994; for two classes iteratively reweighted least squares). The step is halved until Armijo's rule holds.
#pragma once

#include "clearway/core/types.hpp"

namespace clearway {

struct SoftmaxStepOptions {
  double ridge = 1e-6;   ///< penalty on every coefficient; keeps the Hessian regular and separated gates finite
  double armijo = 1e-4;  ///< least share of the promised gain that a step must bring
  int most_halvings = 30;
  int threads = 1;
};

struct SoftmaxStepResult {
  double before = 0;     ///< Q at the start
  double after = 0;      ///< Q at the end, never lower
  double decrement = 0;  ///< gradient . Newton direction: twice the gain that the quadratic model promises
  double step = 0;       ///< length taken, 1 for the full Newton step, 0 when no step raised Q
};

/// Features of a gate with intercept: a column of ones before the inputs, n x (1 + q).
Matrix with_ones(const ConstMatrixRef& inputs);

/// log softmax of the rows of features * coefficients', n x k.
Matrix log_softmax_rows(const Matrix& features, const Matrix& coefficients, int threads = 1);

/// One Newton step from `coefficients` (k x p, last row 0), in place. features n x p, targets n x k.
SoftmaxStepResult softmax_newton_step(const Matrix& features, const Matrix& targets, Matrix& coefficients,
                                      const SoftmaxStepOptions& options = {});

/// One gradient step W += length * gradient of Q (without ridge). With cov(f) = I, length 4 (two experts) and 2 (more)
/// can never overshoot: the Hessian is at most 1/4 and 1/2 (Boehning 1992).
void softmax_gradient_step(const Matrix& features, const Matrix& targets, double length, Matrix& coefficients,
                           int threads = 1);

}  // namespace clearway
