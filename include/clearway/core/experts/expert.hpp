// What all experts have in common: log-density and mean of a response given inputs, for k experts at once.
//
// An expert is a struct of fixed settings with the formulas as member templates; its estimated numbers are a separate
// parameter struct (parameters.hpp). Log-densities are complete, with every constant, so that likelihoods of different
// families compare. Experts with a linear predictor eta_k = a_k'x + b_k hold slopes k x d and intercepts 1 x k. An
// optional last argument that is empty (0 x 0) is left out of the formula.
// To add one, see docs/core.md: one file like poisson.hpp, one line in the typed list of
// tests/laws/expert_cases.hpp.
#pragma once

#include <vector>

#include "clearway/core/array.hpp"

namespace clearway {

/// Where a response may lie.
enum class Support {
  real,      ///< every number (of a vector response: in every coordinate)
  positive,  ///< y > 0
  unit,      ///< 0 < y < 1
  counts,    ///< 0, 1, 2 ... (binomial: up to the trials)
  classes,   ///< class numbers 0 .. c-1
  box        ///< a closed box
};

inline constexpr double kLogTwoPi = 1.8378770664093454835606594728112;
inline constexpr double kLogPi = 1.1447298858494001741434273513531;
inline constexpr double kLogTwo = 0.69314718055994530941723212145818;
inline constexpr double kPi = 3.1415926535897932384626433832795;

/// eta = x a' + b (+ offset): x n x d, slopes k x d, intercepts 1 x k, offset n x 1 or empty -> n x k. Checks shapes.
template <Array A>
A linear_predictor(std::string_view who, const A& x, const A& slopes, const A& intercepts, const A& offset = A()) {
  check_shape(who, "slopes", slopes, cols(intercepts), cols(x));
  check_shape(who, "intercepts", intercepts, 1, rows(slopes));
  const A eta = affine(x, slopes, intercepts);
  if (rows(offset) == 0) return eta;
  check_shape(who, "offset", offset, rows(x), 1);
  return add_col(eta, offset);
}

/// The log-probability of each row's class: y n x 1 of class numbers, log_probabilities n x kc expert by expert -> n x k.
template <Array A>
A chosen_class(const A& y, const A& log_probabilities, int classes) {
  std::vector<A> parts;
  for (std::ptrdiff_t first = 0; first < cols(log_probabilities); first += classes) {
    A chosen = filled(y, rows(y), 1, 0.0);
    for (int s = 0; s < classes; ++s) {
      const A is_class = at_least(y, s - 0.5) - at_least(y, s + 0.5);  // 1 where y = s
      chosen = chosen + is_class * column(log_probabilities, first + s);
    }
    parts.push_back(chosen);
  }
  return hstack(parts);
}

}  // namespace clearway
