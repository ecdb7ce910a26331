// Feed-forward expert: a Gaussian around one hidden layer of h units. One expert at a time.
//
//   mean(x) = sum_u v_u g(w_u'x + c_u) + v_0,   log f(y | x) = log N(y; mean(x), sigma^2)
//
// Strongly identifiable for g = tanh or sigmoid, unlike linear experts (Nguyen, Ho and Rinaldo 2024, arXiv 2402.02952).
#pragma once

#include "clearway/core/experts/gaussian.hpp"

namespace clearway {

template <Array A>
struct FeedForwardParameters {
  A hidden_weights;  ///< h x d
  A hidden_biases;   ///< 1 x h
  A output_weights;  ///< 1 x h
  A output_bias;     ///< 1 x 1
  A log_sigma;       ///< 1 x 1, logarithm of the noise standard deviation

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("hidden_weights", self.hidden_weights);
    field("hidden_biases", self.hidden_biases);
    field("output_weights", self.output_weights);
    field("output_bias", self.output_bias);
    field("log_sigma", self.log_sigma);
  }
};

struct FeedForwardExpert {
  static constexpr std::string_view kName = "feed-forward";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = FeedForwardParameters<A>;

  Activation activation = {.kind = ActivationKind::tanh};  ///< g of the hidden units

  /// Parameters of the right shapes for d inputs and h hidden units, all 0.
  template <Array A>
  FeedForwardParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t h) const {
    return {filled(like, h, d, 0.0), filled(like, 1, h, 0.0), filled(like, 1, h, 0.0), filled(like, 1, 1, 0.0),
            filled(like, 1, 1, 0.0)};
  }
  /// x n x d -> n x 1.
  template <Array A>
  A mean(const A& x, const FeedForwardParameters<A>& p) const {
    check_shape("feed-forward expert", "hidden_weights", p.hidden_weights, cols(p.hidden_biases), cols(x));
    check_shape("feed-forward expert", "hidden_biases", p.hidden_biases, 1, rows(p.hidden_weights));
    check_shape("feed-forward expert", "output_weights", p.output_weights, 1, rows(p.hidden_weights));
    check_shape("feed-forward expert", "output_bias", p.output_bias, 1, 1);
    const A hidden = activation.value(affine(x, p.hidden_weights, p.hidden_biases));
    return affine(hidden, p.output_weights, p.output_bias);
  }
  /// y n x 1, x n x d -> n x 1.
  template <Array A>
  A log_density(const A& y, const A& x, const FeedForwardParameters<A>& p) const {
    check_shape("feed-forward expert", "response", y, rows(x), 1);
    check_shape("feed-forward expert", "log_sigma", p.log_sigma, 1, 1);
    return gaussian_log_density(y, mean(x, p), p.log_sigma);
  }
};

}  // namespace clearway
