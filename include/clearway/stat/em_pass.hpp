// One iteration of EM over the data for the most common mixtures: a softmax gate that is linear in its features and
// experts of one linear predictor (single-index families). One read of the rows gives the log-likelihood,
// responsibilities and every sum that the M-step and Newton's method for the gate need.
//
//   log pi_tk = z_t' w_k - log sum_l exp(z_t' w_l)            (temperature already divided out)
//   log f_tk  = -log sigma_k - log(2 pi) / 2 - (y_t - x_t' b_k)^2 / (2 sigma_k^2)
//   p_t       = eps u + (1 - eps) sum_k pi_tk f_tk            (u: constant noise density; eps = 0 without noise)
//   r_tk      = (1 - eps) pi_tk f_tk / p_t,   rho_t = eps u / p_t = 1 - sum_k r_tk
//
// Other families have eta_tk = x_t' b_k + offset_t and their own log f_tk; where linear Gaussian experts sum r x x',
// r e x and r e^2, they sum r i x x', r g x and r q: i is the expected information of eta, g the score, both times the
// dispersion (sigma^2, 1 / shape), so that solving with them is a step of Fisher scoring (Gauss-Newton for Gaussian
// kinds), and the mean of q is what the dispersion is estimated from (Jiang and Tanner 1999):
//   poisson   i = mu = exp(eta), g = y - mu, q = 0         binomial   p = logistic(eta), i = n p (1 - p), g = y - n p
//   gamma     ratio = y exp(-eta), i = 1, g = ratio - 1, q = ratio - log ratio - 1
//   Gaussian  mean m(eta), e = y - m, i = m'^2, g = m' e, q = e^2
//
// The gate competes only for the mass s_t = 1 - rho_t that the noise leaves: the expected complete log-likelihood of
// the gate is sum_t sum_k r_tk log pi_tk, with gradient sum_t (r_tk - s_t pi_tk) z_t and negative Hessian blocks sum_t
// s_t pi_tk (delta_kl - pi_tl) z_t z_t' (Jordan and Jacobs 1994, section 4; Chen, Xu and Chi 1999).
//
// Rows go in blocks, sums of blocks are added in a fixed order: the result is the same to the last bit for any number
// of threads. Machines with other vector instructions may differ in the last bits.
#pragma once

#include <memory>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"
#include "clearway/stat/tiled_matrix.hpp"

namespace clearway {

/// The data of a pass: views, the caller keeps the matrices alive. `x` and `z` may be the same object, which is faster.
struct EmData {
  const TiledMatrix* x = nullptr;        ///< n x p, expert inputs, column of ones included
  const TiledMatrix* z = nullptr;        ///< n x q, gate features, column of ones included
  const TiledMatrix* y = nullptr;        ///< n x 1, response
  const TiledMatrix* weights = nullptr;  ///< n x 1, case weights >= 0; null: all one
  const TiledMatrix* offset = nullptr;   ///< n x 1, added to the linear predictor; null: none; not for linear experts
  const TiledMatrix* trials = nullptr;   ///< n x 1, binomial: number of trials; null: all one
  ExpertSpec family = {};                ///< kind, degree and leak of the experts; the other settings play no part

  Eigen::Index rows() const { return x->rows(); }
};

/// The parameters of the mixture.
struct EmParameters {
  Matrix coefficients;             ///< p x K, expert k in column k
  Vector sigma;                    ///< K, standard deviations > 0 of Gaussian kinds; others ignore it
  Vector shape;                    ///< K, shapes > 0 of gamma experts; others ignore it
  Matrix gate;                     ///< q x K, scores are z' gate; for derivatives the last column counts as fixed
  bool has_noise = false;          ///< whether there is a noise component
  double noise_weight = 0.0;       ///< eps in [0, 1)
  double noise_log_density = 0.0;  ///< log u

  Eigen::Index experts() const { return coefficients.cols(); }
};

/// What to compute beside the log-likelihood; callers pay for what they ask for.
struct EmParts {
  bool experts = false;           ///< counts, gram, cross, squares
  bool gate_gradient = false;     ///< gate_gradient
  bool gate_information = false;  ///< gate_information: K (K - 1) / 2 weighted Gram matrices, the most expensive part
  bool entropy = false;           ///< entropy

  static EmParts likelihood() { return {}; }
  static EmParts all() { return {true, true, true, true}; }
};

/// Sums over rows, all weighted by the case weights. Parts that were not asked for keep their old values.
struct EmSums {
  double log_likelihood = 0.0;  ///< sum log p_t
  double noise_mass = 0.0;      ///< sum rho_t
  double entropy = 0.0;         ///< -sum_t sum_k r log r, the noise component included
  Vector counts;                ///< K: sum r_tk
  std::vector<Matrix> gram;     ///< K of p x p: sum r_tk x_t x_t' (other families: r i x x')
  Matrix cross;    ///< p x K: sum r_tk e_tk x_t, e = y - x' b_k; solve gram * step = cross for the new b_k (r g x)
  Vector squares;  ///< K: sum r_tk e_tk^2 at the given coefficients (other families: r q)
  Matrix gate_gradient;     ///< q x K: sum (r_tk - s_t pi_tk) z_t
  Matrix gate_information;  ///< (K-1) q square: block (k, l) is sum s_t pi_tk (delta_kl - pi_tl) z_t z_t'
};

/// Value, gradient and Hessian of the log-likelihood. Order of the parameters: gate columns 0 .. K-2 (q each), then per
/// expert its p coefficients and log sigma (gamma: log shape; zeros in this place for families without dispersion), then
/// (with noise) the logit of eps.
struct EmDerivatives {
  double log_likelihood = 0.0;
  Vector gradient;
  Matrix hessian;
};

/// A pass over one data set with a given number of experts; owns the working memory, so that repeated passes allocate
/// nothing. Not for use by several threads at once (give every thread its own; they share the data).
class EmPass {
 public:
  /// `instruction_set`: 0 baseline, 1 AVX2, 2 AVX-512, -1 the best of this machine; fixing it makes results equal to
  /// the last bit on different machines. Throws std::invalid_argument when shapes do not fit, experts < 1, the family is
  /// none of linear, constant, sigmoid, tanh, relu, leaky-relu, polynomial, poisson, bernoulli, binomial and gamma, or
  /// this machine (or this build) lacks the instruction set.
  EmPass(const EmData& data, Eigen::Index experts, int instruction_set = -1);
  ~EmPass();
  EmPass(EmPass&&) noexcept;
  EmPass& operator=(EmPass&&) noexcept;

  /// The sums at `parameters`. `threads` as in parallel_for; small data run on one. With `responsibilities`, that
  /// matrix becomes n x K (n x (K + 1) with noise, the noise last), not multiplied by the case weights. Throws
  /// std::invalid_argument when the shapes of the parameters do not fit.
  void run(const EmParameters& parameters, EmParts parts, EmSums& sums, int threads = 1,
           Matrix* responsibilities = nullptr);

  /// Exact value, gradient and Hessian of the observed-data log-likelihood, by Louis' identity (Louis 1982):
  ///   H = sum_t [ sum_k r_tk (H_tk + u_tk u_tk') - s_t s_t' ],  u: complete-data score, s_t = sum_k r_tk u_tk.
  /// With noise, eps must lie strictly between 0 and 1.
  void derivatives(const EmParameters& parameters, EmDerivatives& result, int threads = 1);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The same sums for linear Gaussian experts in plain Eigen, for reading and for tests. x is n x p, z n x q, weights empty or n.
EmSums em_pass_reference(const ConstMatrixRef& x, const ConstMatrixRef& z, const ConstVectorRef& y,
                         const Vector& weights, const EmParameters& parameters, Matrix* responsibilities = nullptr);

}  // namespace clearway
