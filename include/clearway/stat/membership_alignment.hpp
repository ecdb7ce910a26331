// Alignment of a refitted model with the original one by what its experts do, not by their parameters.
//
// Experts are matched so that the memberships (posterior weights) of the original rows change least:
//   cost(i, j) = sum_t w_t (r'_ti - r_tj)^2,  least in total (core/alignment's optimal assignment).
// The idea is that of Stephens (2000, J. R. Statist. Soc. B 62), with a squared distance in the place of his
// Kullback-Leibler divergence, so that a single row that changes sides cannot decide. It needs no metric on parameters,
// treats every gate and expert alike, and an expert whose coefficients are poorly determined (few rows, nearly flat
// gate) is still known by its rows.
#pragma once

#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

struct MembershipAlignment {
  std::vector<int> order;  ///< order[j]: the refitted expert that plays the part of original expert j
  double agreement = 0;    ///< sum over matched pairs of sum_t w r' r, over the same without refitting; 1 when equal
  /// Some pair of experts i, j lost more than half of its contrast: with refitted r', original r,
  /// sum_t w (r'_i - r'_j)(r_i - r_j) < 1/2 sum_t w (r_i - r_j)^2. They may have changed places or mixed.
  bool ambiguous = false;
};

/// Which refitted experts may play the part of which original ones: true for experts of one kind with the same fixed
/// parameters (a parameter that is fixed for one expert only tells it from the others); where gate parameters are fixed
/// differently, relative to one expert, every expert keeps its number.
using ExpertParts = Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic>;
ExpertParts possible_parts(const MixtureModel& refitted, const MixtureModel& original);

/// `refitted` and `original` hold the memberships of the same rows, n x k (a noise component left out); `weights` has n
/// elements or none, `possible` k x k or none (all).
MembershipAlignment align_memberships(const ConstMatrixRef& refitted, const ConstMatrixRef& original,
                                      const ConstVectorRef& weights, const ExpertParts& possible = {});

}  // namespace clearway
