// The plain ways that Clearway's kernels are measured against: whole matrices, Eigen, compiled for this very processor.
// All matrices are column-major.
#pragma once

namespace clearway::bench {

#define CLEARWAY_BENCH_EXPORT __attribute__((visibility("default")))

/// E-step by two matrix products and array arithmetic on n x K: log-likelihood; r is n x K. x is n x p for both gate
/// and experts, coefficients and gate are p x K.
CLEARWAY_BENCH_EXPORT double e_step(int n, int p, int K, const double* x, const double* y, const double* coefficients,
                                    const double* gate, const double* sigma, double* r);

/// The same with one row at a time after the matrix products: log-sum-exp over the K numbers of the row.
CLEARWAY_BENCH_EXPORT double e_step_by_rows(int n, int p, int K, const double* x, const double* y,
                                            const double* coefficients, const double* gate, const double* sigma,
                                            double* r);

/// K weighted Gram matrices, each a symmetric rank update of sqrt(r_k) x; gram is K of p x p (lower triangle).
CLEARWAY_BENCH_EXPORT void weighted_grams(int n, int p, int K, const double* x, const double* r, double* gram);

}  // namespace clearway::bench
