// Gaussian expert for a response vector of m numbers. One expert at a time.
//
//   log f(y | x) = -m log(2 pi) / 2 - log|C| - |C^-1 (y - B x - b)|^2 / 2,   noise covariance S = C C'
//
// C is the lower Cholesky factor of the covariance: packed by columns with its diagonal as logarithm, m(m+1)/2 numbers;
// or a diagonal covariance: the m logarithms of the standard deviations only.
#pragma once

#include <vector>

#include "clearway/core/experts/expert.hpp"

namespace clearway {

template <Array A>
struct GaussianVectorParameters {
  A slopes;      ///< m x d
  A intercepts;  ///< 1 x m
  A factor;      ///< 1 x m(m+1)/2 (full covariance) or 1 x m (diagonal)

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("intercepts", self.intercepts);
    field("factor", self.factor);
  }
};

struct GaussianVectorExpert {
  static constexpr std::string_view kName = "gaussian-vector";
  static constexpr Support kSupport = Support::real;
  template <Array A>
  using Parameters = GaussianVectorParameters<A>;

  /// Parameters of the right shapes for d inputs and m responses, all 0 (unit covariance).
  template <Array A>
  GaussianVectorParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t m,
                                              bool diagonal = false) const {
    return {filled(like, m, d, 0.0), filled(like, 1, m, 0.0), filled(like, 1, diagonal ? m : m * (m + 1) / 2, 0.0)};
  }
  /// x n x d -> n x m.
  template <Array A>
  A mean(const A& x, const GaussianVectorParameters<A>& p) const {
    return linear_predictor("gaussian-vector expert", x, p.slopes, p.intercepts);
  }
  /// y n x m, x n x d -> n x 1.
  template <Array A>
  A log_density(const A& y, const A& x, const GaussianVectorParameters<A>& p) const {
    const std::ptrdiff_t m = cols(p.intercepts);
    const bool diagonal = cols(p.factor) == m;
    check_shape("gaussian-vector expert", "response", y, rows(x), m);
    check_shape("gaussian-vector expert", "factor", p.factor, 1, diagonal ? m : m * (m + 1) / 2);
    const A residuals = y - mean(x, p);
    std::vector<A> whitened;  // forward substitution: C z = residual, column by column
    A total = filled(y, rows(y), 1, -0.5 * kLogTwoPi * static_cast<double>(m));
    for (std::ptrdiff_t j = 0; j < m; ++j) {
      A rest = column(residuals, j);
      if (!diagonal)
        for (std::ptrdiff_t i = 0; i < j; ++i) {
          const A entry = column(p.factor, packed_index(j, i, m));
          rest = rest - mul_row(whitened[static_cast<std::size_t>(i)], entry);
        }
      const A log_diagonal = column(p.factor, diagonal ? j : packed_index(j, j, m));
      const A inverse = exp(-log_diagonal);
      whitened.push_back(mul_row(rest, inverse));
      const A minus_log_diagonal = -log_diagonal;
      const A minus_half_square = square(whitened.back()) * -0.5;
      total = total + add_row(minus_half_square, minus_log_diagonal);
    }
    return total;
  }

  /// Position of entry (i, j), i >= j, of an m x m lower triangle that is packed by columns.
  static std::ptrdiff_t packed_index(std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t m) {
    return j * m - j * (j - 1) / 2 + (i - j);
  }
};

}  // namespace clearway
