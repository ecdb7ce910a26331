// Voronoi losses: how far a fit is from the truth when it may have more experts than the truth.
//
// Every fitted atom belongs to the cell of the true atom nearest to it in th = (b1, a, c, nu). With A_j the cells,
//
//   D(G, G*) =  sum_j |sum_{i in A_j} w(b0_i) - w(b0*_j)|
//             + sum_{j: |A_j| = 1} sum_{i in A_j} w(b0_i) (|db1| + |da| + |dc| + |dnu|)
//             + sum_{j: |A_j| > 1} sum_{i in A_j} w(b0_i) (|db1|^p1 + |da|^p2 + |dc|^p3 + |dnu|^p4)
//
// If D falls like n^(-1/2), a part with exponent p is estimated at rate n^(-1/(2p)). Sources: Nguyen, Nguyen and Ho
// 2023 (arXiv 2305.03288) for softmax, FuseMoE (arXiv 2402.03226, eq. 6-7) for Laplace, Nguyen, Ho and Rinaldo 2024
// (arXiv 2402.02952) for strongly identifiable experts.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "clearway/core/mixing_measure.hpp"

namespace clearway {

/// Exponents p1..p4 of a cell with more than one fitted atom.
struct VoronoiExponents {
  double gate_slope = 2;
  double expert_slope = 2;
  double expert_intercept = 2;
  double variance = 2;
};

/// The exponents of a cell that holds `atoms` > 1 fitted atoms.
using VoronoiExponentRule = std::function<VoronoiExponents(int atoms)>;

/// Order of the polynomial system that governs `atoms` atoms that share one true atom: 4 for 2, 6 for 3; nothing for 4
/// and more, where only "at least 7" is known. The value is the same for softmax and Laplace gates.
std::optional<int> solvability_exponent(int atoms);

/// 2, 2, 2, 2 whatever the cell: tanh, sigmoid and other strongly identifiable experts.
VoronoiExponentRule strongly_identifiable_exponents();
/// r, r/2, r, r/2 with r = solvability_exponent: softmax gate, linear Gaussian experts, maximum likelihood. The rule
/// throws std::invalid_argument for cells of 4 atoms and more, where r is not known.
VoronoiExponentRule softmax_linear_exponents();
/// 2, 2, r, r/2: Laplace gate, linear Gaussian experts, maximum likelihood. Throws like softmax_linear_exponents().
VoronoiExponentRule laplace_linear_exponents();

/// How a gate intercept becomes the weight of an atom.
enum class AtomWeight { exponential, sigmoid };

/// The true atom (from 0) to whose cell each fitted atom belongs; ties go to the first.
std::vector<int> voronoi_cells(const MixingMeasure& fitted, const MixingMeasure& truth);

/// D and its three sums.
struct VoronoiLoss {
  double total = 0;
  double weight_part = 0;      ///< first sum: weights of the cells
  double exact_part = 0;       ///< second sum: cells with one fitted atom
  double over_part = 0;        ///< third sum: cells with several
  std::vector<int> cells;      ///< voronoi_cells()
  double intercept_shift = 0;  ///< t0 that was added to every gate intercept of the fit
  Vector slope_shift = {};     ///< t1 that was added to every gate slope; empty: none
};

/// D(G, G*) as above, for gates as they stand (softmax: set the same expert's gate row to 0 in both first, or use the
/// next function). Throws std::invalid_argument when the shapes of the measures differ.
VoronoiLoss voronoi_loss(const MixingMeasure& fitted, const MixingMeasure& truth, const VoronoiExponentRule& rule,
                         AtomWeight weight = AtomWeight::exponential);

/// What may be added to all gate rows without changing a weight: softmax intercepts and slopes, Laplace intercepts only.
enum class GateTranslation { intercepts, intercepts_and_slopes };

/// The least D over translations (t0, t1) of the fitted gate among those that make one fitted gate slope equal to a
/// true one, with t0 either from the same pair or from equal total weights: an upper bound on the infimum over all
/// translations that is 0 when the infimum is 0. With GateTranslation::intercepts t1 is 0. Exponential weights.
VoronoiLoss voronoi_loss_up_to_translation(const MixingMeasure& fitted, const MixingMeasure& truth,
                                           const VoronoiExponentRule& rule,
                                           GateTranslation translation = GateTranslation::intercepts_and_slopes);

}  // namespace clearway
