// M-steps and score rows of single experts: what the general engine needs to know of each kind.
#pragma once

#include <vector>

#include "clearway/stat/mixture_model.hpp"

namespace clearway::detail {

/// Linear predictor b + a'x + offset of a single-index expert: n.
Vector linear_predictor(const Expert& expert, const ConstMatrixRef& x, const ConstVectorRef& offset);
/// Linear predictor of log sigma of a heteroscedastic expert: n; empty for every other kind.
Vector log_sigma_predictor(const Expert& expert, const ConstMatrixRef& x);
/// tanh layer of a network expert: n x h.
Matrix hidden_layer(const Expert& expert, const ConstMatrixRef& x);
/// Log class probabilities of an expert whose response is a class: n x c.
Matrix class_log_probabilities(const Expert& expert, const ConstMatrixRef& x);
/// Means of a vector response: n x m.
Matrix vector_mean(const Expert& expert, const ConstMatrixRef& x);
/// Number of slopes (0 for constant experts).
int slope_count(const Expert& expert);

/// d log f(y_t) / d theta for every row: n x parameters.
Matrix expert_score_rows(const Expert& expert, const Data& data);
/// Whether expert_hessian() is available in closed form.
bool has_closed_hessian(const Expert& expert);
/// sum_t r_t d2 log f(y_t) / d theta2.
Matrix expert_hessian(const Expert& expert, const Data& data, const ConstVectorRef& r);

/// Raises sum_t r_t log f(y_t) over the data, given in blocks of rows (r in data order); never lowers it beyond
/// rounding. Closed form where there is one, else `newton_steps` damped Newton steps. Noise levels stay at or above
/// `sigma_floor`. An expert whose weights sum to less than its number of coefficients is left as it is.
void update_expert(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor,
                   int newton_steps);

/// sum_t r_t log f(y_t) over blocks of rows.
double weighted_log_density(const Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r);
/// At most `steps` Newton steps on all parameters of a smooth kind with closed_hessian: curvature of the wrong sign is
/// turned round, steps that lower the objective are halved, extra parameters stay within their bounds.
void update_by_newton(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor,
                      int steps);
/// Least absolute deviations by reweighted least squares with an exact line search, then the scale.
void update_laplace(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor,
                    int steps);
/// Takes a skew-normal expert without slant to the one with the moments of its residuals, when that is better.
void escape_zero_slant(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor);

/// x' diag(weight) x.
Matrix symmetric_product(const Matrix& x, const Vector& weight);

/// Gives an expert of a vector response this covariance (its diagonal, where its form has no more), no direction of which
/// has a standard deviation below the floor.
void set_covariance(Expert& expert, const Matrix& wanted, double sigma_floor);

/// The covariances of the experts' form (parsimonious_covariance.hpp) from those that update_expert() has left: of each
/// the scatter of its residuals over its weight, `mass`. `before` holds covariances of the form to begin at.
void pool_covariances(const std::vector<Expert>& before, const Vector& mass, double sigma_floor,
                      std::vector<Expert>& experts);

/// Weighted residual sum of squares of a kind with sigma, and the weight: for a noise level shared by all experts.
struct ResidualSum {
  double squares = 0, weight = 0;
};
ResidualSum residual_sum(const Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r);

/// Solves a symmetric positive semi-definite system; near-singular directions get (nearly) minimum-norm answers.
Vector solve_semidefinite(const Matrix& a, const Vector& b);

}  // namespace clearway::detail
