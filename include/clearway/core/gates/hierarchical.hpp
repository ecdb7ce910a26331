// Hierarchical gate: an outer gate weighs groups of experts, an inner gate the experts of each group (Jordan and Jacobs
// 1994; with Laplace levels: Nguyen et al. 2024, arXiv 2410.02935, where SS, SL, LS, LL name outer and inner kind).
//
//   w_k(x) = exp(o_g(x)) / sum_h exp(o_h(x))  *  exp(t_k(x)) / sum_{l in group g} exp(t_l(x)),   g the group of k
//
// A composition of any two gates: the formula takes the scores of both levels. With one expert in every group it is the
// outer gate, with one group the inner gate, and with o_g = log sum_{l in g} exp(t_l) the flat gate of the scores t.
#pragma once

#include <vector>

#include "clearway/core/gates/gate.hpp"

namespace clearway {

/// outer: n x groups, inner: n x k, group_of: the group of each expert, from 0. Log-weights n x k; rows of exp() sum to 1.
/// Throws std::invalid_argument unless every expert has a group and every group an expert.
template <Array A>
A hierarchical_log_weights(const A& outer, const A& inner, const std::vector<int>& group_of) {
  const std::ptrdiff_t k = cols(inner), groups = cols(outer);
  if (static_cast<std::ptrdiff_t>(group_of.size()) != k)
    user_error("hierarchical gate: {} experts need as many group numbers, not {}", k, group_of.size());
  for (const int group : group_of)
    if (group < 0 || group >= groups)
      user_error("hierarchical gate: group numbers go from 0 to {}, not {}", groups - 1, group);
  const A outer_log = log_normalise(outer);
  std::vector<A> within(static_cast<std::size_t>(k));
  for (std::ptrdiff_t group = 0; group < groups; ++group) {
    std::vector<A> members;
    for (std::ptrdiff_t expert = 0; expert < k; ++expert)
      if (group_of[static_cast<std::size_t>(expert)] == group) members.push_back(column(inner, expert));
    if (members.empty()) user_error("hierarchical gate: group {} has no expert", group);
    const A together = log_normalise(hstack(members));
    const A shifted = add_col(together, column(outer_log, group));
    std::ptrdiff_t next = 0;
    for (std::ptrdiff_t expert = 0; expert < k; ++expert)
      if (group_of[static_cast<std::size_t>(expert)] == group)
        within[static_cast<std::size_t>(expert)] = column(shifted, next++);
  }
  return hstack(within);
}

}  // namespace clearway
