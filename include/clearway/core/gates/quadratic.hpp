// Quadratic gate: log-weight quadratic in the inputs (Akbarian et al. 2024, arXiv 2410.11222).
//
//   t_k(x) = (b_k + a_k' x + q_k(x)) / tau
//   full       q_k(x) = sum_{i <= j} f_kij x_i x_j
//   diagonal   q_k(x) = sum_i f_ki x_i^2
//   low rank   q_k(x) = sum_r (u_kr' x)(v_kr' x)
//
// Without the linear term it is the "monomial" gate of that paper, which interacts less with linear experts. Unchanged
// when a constant is added to all intercepts; full and diagonal also when a row is added to all slopes or forms.
#pragma once

#include <vector>

#include "clearway/core/gates/gate.hpp"

namespace clearway {

enum class QuadraticForm { full, diagonal, low_rank };

template <Array A>
struct QuadraticParameters {
  A slopes;      ///< k x d; k x 0 or empty without the linear term
  A forms;       ///< full k x d(d+1)/2 (products x_i x_j, i <= j, row by row); diagonal k x d; low rank k x 2 R d
                 ///< (u_1, v_1, u_2, v_2 ...)
  A intercepts;  ///< 1 x k

  template <class Self, class F>
  static void visit(Self& self, F&& field) {
    field("slopes", self.slopes);
    field("forms", self.forms);
    field("intercepts", self.intercepts);
  }
};

struct QuadraticGate {
  static constexpr std::string_view kName = "quadratic";
  static constexpr bool kShiftInvariant = true;  ///< adding one constant to all intercepts changes no weight
  template <Array A>
  using Parameters = QuadraticParameters<A>;

  QuadraticForm form = QuadraticForm::full;
  int rank = 1;              ///< low rank only: R >= 1
  bool linear_term = true;   ///< false leaves the slopes out
  double temperature = 1.0;  ///< > 0; scores are divided by it

  /// Columns of `forms` for d inputs.
  std::ptrdiff_t form_size(std::ptrdiff_t d) const {
    switch (form) {
      case QuadraticForm::full:
        return d * (d + 1) / 2;
      case QuadraticForm::diagonal:
        return d;
      case QuadraticForm::low_rank:
        return 2 * rank * d;
    }
    user_error("quadratic gate: unknown form {}", static_cast<int>(form));
  }

  /// The products of inputs that a full or diagonal form weighs: x n x d -> n x form_size(d).
  template <Array A>
  A products(const A& x) const {
    if (form == QuadraticForm::low_rank) user_error("quadratic gate: the low-rank form has no fixed products");
    if (form == QuadraticForm::diagonal || cols(x) == 0) return square(x);
    std::vector<A> parts;
    for (std::ptrdiff_t i = 0; i < cols(x); ++i) parts.push_back(mul_col(columns(x, i, cols(x) - i), column(x, i)));
    return hstack(parts);
  }

  /// Parameters of the right shapes for d inputs and k experts, all 0 (all weights equal).
  template <Array A>
  QuadraticParameters<A> zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return {filled(like, k, linear_term ? d : 0, 0.0), filled(like, k, form_size(d), 0.0), filled(like, 1, k, 0.0)};
  }
  /// x n x d -> n x k.
  template <Array A>
  A scores(const A& x, const QuadraticParameters<A>& p) const {
    const std::ptrdiff_t d = cols(x), k = cols(p.intercepts);
    check_temperature("quadratic gate", temperature);
    if (form == QuadraticForm::low_rank && rank < 1)
      user_error("quadratic gate: rank must be at least 1, not {}", rank);
    check_shape("quadratic gate", "intercepts", p.intercepts, 1, rows(p.forms));
    check_shape("quadratic gate", "forms", p.forms, k, form_size(d));
    if (linear_term || rows(p.slopes) != 0) check_shape("quadratic gate", "slopes", p.slopes, k, linear_term ? d : 0);
    const A zeros = filled(p.intercepts, 1, k, 0.0);
    A total = form == QuadraticForm::low_rank ? low_rank_part(x, p.forms, zeros) : affine(products(x), p.forms, zeros);
    if (linear_term) total = total + affine(x, p.slopes, zeros);
    total = add_row(total, p.intercepts);
    return total * (1.0 / temperature);
  }
  /// x n x d -> n x k.
  template <Array A>
  A log_weights(const A& x, const QuadraticParameters<A>& p) const {
    return log_normalise(scores(x, p));
  }

 private:
  template <Array A>
  A low_rank_part(const A& x, const A& forms, const A& zeros) const {
    const std::ptrdiff_t d = cols(x);
    A total = filled(x, rows(x), cols(zeros), 0.0);
    for (std::ptrdiff_t r = 0; r < rank; ++r) {
      const A left = affine(x, columns(forms, 2 * r * d, d), zeros);
      const A right = affine(x, columns(forms, (2 * r + 1) * d, d), zeros);
      total = total + left * right;
    }
    return total;
  }
};

}  // namespace clearway
