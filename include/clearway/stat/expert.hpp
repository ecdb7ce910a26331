// An expert chosen at run time: kind, fixed settings and one flat parameter vector.
//
// The formulas live in clearway/core/experts; this file is the one place where --expert becomes a type.
//
// Layout of the parameters (d inputs, m responses, c classes, h hidden units):
//   linear, sigmoid, tanh, gelu, relu, leaky-relu, polynomial   [intercept, slopes (d), log sigma]
//   constant                                              [intercept, log sigma]
//   student-t                                             [intercept, slopes (d), log sigma, log nu]
//   laplace, tobit                                        [intercept, slopes (d), log scale]
//   skew-normal                                           [intercept, slopes (d), log scale, slant]
//   heteroscedastic                                       [intercept, slopes (d)] of the mean, then of log sigma
//   gamma, inverse-gaussian, weibull                      [intercept, slopes (d), log shape]
//   beta                                                  [intercept, slopes (d), log precision]
//   negative-binomial                                     [intercept, slopes (d), log size]
//   zero-inflated-poisson                                 [intercept, slopes (d), logit of the extra zero]
//   poisson, bernoulli, binomial, exponential             [intercept, slopes (d)]
//   ordinal                                               [intercept, slopes (d), log gaps between thresholds (c - 2)]
//   multinomial                                           (c - 1) x [intercept, slopes (d)], last class is the reference
//   conditional-logit (v attributes)                      (c - 1) x [intercept, slopes (d - vc)], coefficients (v):
//                                                         the last vc inputs are the attributes, each class by class
//   network                                               h x [bias, weights (d)], [output bias, output weights (h)], log sigma
//   linear with m > 1 responses                           m x [intercept, slopes (d)], then the lower Cholesky factor of
//                                                         the noise covariance by columns, its diagonal as logarithm
//                                                         (diagonal covariance: the m logarithms only)
#pragma once

#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway {

/// Responses and inputs of a regression problem. Rows are observations; optional parts are empty.
struct Data {
  Matrix expert_inputs;  ///< n x d, no column of ones
  Matrix gate_inputs;    ///< n x q, no column of ones
  Matrix response;       ///< n x m; of classes: n x 1 of class numbers 0..classes-1
  Vector weights;        ///< n non-negative case weights, or empty (all 1)
  Vector trials;         ///< n, binomial only: number of trials
  Vector offset;         ///< n, added to the linear predictor (poisson, gamma, linear), or empty
  Vector event;          ///< n, 1 observed, 0 censored: above the response, -1 censored: below it; or empty (all 1)
  int classes = 0;       ///< multinomial, conditional logit, ordinal: number of classes
  int attributes = 0;    ///< conditional logit: the last attributes x classes expert inputs, attribute by attribute
  /// n group numbers, or empty. Rows with the same number are repeated measures: one expert made them all. Their gate
  /// inputs and weights must be equal.
  std::vector<int> groups;
  /// n numbers of experts (from 0) where it is known which expert made the row, -1 where not; or empty.
  std::vector<int> labels;

  Eigen::Index rows() const { return response.rows(); }
  /// Throws std::invalid_argument naming the first thing that does not fit (shapes, NaN, negative weights ...).
  void check(ExpertKind kind) const;
  /// The rows of the given indices, in that order.
  Data subset(const std::vector<Eigen::Index>& rows) const;
};

class Expert {
 public:
  Expert(ExpertSpec spec, int inputs, int responses = 1, int classes = 0, int attributes = 0);
  Expert() : Expert(ExpertSpec{}, 0) {}

  const ExpertSpec& spec() const { return spec_; }
  int inputs() const { return inputs_; }
  int responses() const { return responses_; }
  int classes() const { return classes_; }
  int attributes() const { return attributes_; }
  /// Inputs that are no columns of attributes: all of them but for conditional logit.
  int plain_inputs() const { return inputs_ - attributes_ * classes_; }
  const Vector& parameters() const { return parameters_; }
  Vector& parameters() { return parameters_; }
  /// Number of estimated parameters, a variance shared by all experts not counted.
  int degrees_of_freedom() const;

  /// True when the family has a noise level sigma (one real response, the same noise for every row).
  bool has_sigma() const;
  double sigma() const;  ///< noise standard deviation (student-t, laplace, skew-normal: scale); NaN where there is none
  void set_sigma(double sigma);  ///< requires has_sigma()
  /// Noise covariance of a vector response, m x m.
  Matrix covariance() const;

  /// log f(y_t | x_t) for every row: n x 1.
  Vector log_density(const Data& data) const;
  /// E[y | x] per row: n x m; binomial: expected successes; bernoulli: probability; multinomial, ordinal: n x c
  /// probabilities; kinds that allow censoring: of the response before censoring. NaN where a link does not allow the
  /// linear predictor (gamma and inverse Gaussian, link other than log). `trials` and `offset` may be empty (1 and 0).
  Matrix mean(const ConstMatrixRef& x, const ConstVectorRef& trials, const ConstVectorRef& offset) const;
  /// Var[y | x] per row, one response only: n x 1 (infinite for Student t with nu <= 2).
  Vector variance(const ConstMatrixRef& x, const ConstVectorRef& trials, const ConstVectorRef& offset) const;
  /// P(Y <= y | x) per row for one real or count response, before censoring.
  Vector distribution(const ConstVectorRef& y, const ConstMatrixRef& x, const ConstVectorRef& trials,
                      const ConstVectorRef& offset) const;

  /// Moves parameters from standardised inputs and response to the raw scale
  /// (x_raw = x_centre + x_scale * x; y_raw = y_centre + y_scale * y; kinds without a free scale ignore y's).
  Expert on_raw_scale(const Vector& x_centre, const Vector& x_scale, const Vector& y_centre,
                      const Vector& y_scale) const;
  /// The inverse.
  Expert on_standard_scale(const Vector& x_centre, const Vector& x_scale, const Vector& y_centre,
                           const Vector& y_scale) const;
  /// Whether the kind allows its response to be standardised (linear, constant, network, and the real responses around
  /// a'x + b).
  bool response_may_be_scaled() const;
  /// Leading parameters that are coefficients of inputs; noise levels, shapes and gaps, many of them logarithms, follow.
  Eigen::Index coefficient_count() const;
  /// Names of the parameters given input (and class or response) names: "(intercept)", "x1", "log(sigma)" ... An
  /// attribute has one name, behind those of the other inputs.
  std::vector<std::string> parameter_names(const std::vector<std::string>& input_names,
                                           const std::vector<std::string>& response_names) const;

 private:
  ExpertSpec spec_;
  int inputs_;
  int responses_;
  int classes_;
  int attributes_;
  Vector parameters_;
};

}  // namespace clearway
