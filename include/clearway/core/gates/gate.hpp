// What all gates have in common: scores t_k(x) per expert, normalised to log-weights.
//
// A gate is a struct of fixed settings with the formulas as member templates; its estimated numbers are a separate
// parameter struct (parameters.hpp). Every gate offers
//     static constexpr std::string_view kName;
//     template <Array A> using Parameters = ...Parameters<A>;
//     static constexpr bool kShiftInvariant;  // whether adding one constant to all intercepts changes no weight
//     template <Array A> Parameters<A> zero_parameters(const A& like, d, k) const;
//     template <Array A> A scores(const A& x, const Parameters<A>& p) const;       // n x d -> n x k
//     template <Array A> A log_weights(const A& x, const Parameters<A>& p) const;  // rows of exp() sum to 1
// To add one, see docs/core.md: one file like softmax.hpp, one line in the typed list of tests/laws/gate_cases.hpp.
#pragma once

#include "clearway/core/array.hpp"

namespace clearway {

/// scores minus their logsumexp along the row: log of softmax. n x k -> n x k.
template <Array A>
A log_normalise(const A& scores) {
  const A log_total = logsumexp_rows(scores);
  const A minus = -log_total;
  return add_col(scores, minus);
}

/// Log-weights of the K experts per row whose `selection` is largest, renormalised among them by their scores; -inf for
/// the others. K = k gives the dense gate; ties go to the first expert. Top-K softmax (Nguyen et al. 2024, arXiv
/// 2309.13850) selects by a_k'x and weighs by a_k'x + b_k. scores, selection: n x k.
template <Array A>
A top_k_log_weights(const A& scores, const A& selection, std::ptrdiff_t count) {
  const A best = keep_top(selection, count);
  const A barrier = best - selection;  // 0 for the selected, -inf for the others
  const A kept = scores + barrier;
  return log_normalise(kept);
}

/// The same with selection by the scores themselves.
template <Array A>
A top_k_log_weights(const A& scores, std::ptrdiff_t count) {
  const A kept = keep_top(scores, count);
  return log_normalise(kept);
}

/// Throws std::invalid_argument unless the temperature is positive.
inline void check_temperature(std::string_view who, double temperature) {
  if (!(temperature > 0)) user_error("{}: temperature must be positive, not {}", who, temperature);
}

}  // namespace clearway
