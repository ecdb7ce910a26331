// Whether a fit has more experts than the data show: what two experts lose when they become one.
//
// The merged expert is the maximum likelihood expert of the rows of both (responsibilities added) behind the sum of their
// gate weights; everything else stays. For two experts in all that is the fit with one expert, exactly; for more it is a
// close bound that costs one M-step. Where the loss is less than half of df log n, the parameters that the merged model
// does not have are not worth their price to BIC. Near such fits the theory of standard errors fails: estimates of
// over-specified mixtures converge at n^(-1/4) or slower, and small spurious experts look sharply estimated.
#pragma once

#include <vector>

#include "clearway/stat/mixture_model.hpp"
#include "scaling.hpp"

namespace clearway::detail {

struct MergeLoss {
  int first = 0, second = 0;  ///< experts, from 0
  double loss = 0;            ///< of log-likelihood
  double charge = 0;          ///< half of df log n for the parameters saved
};

/// The pairs of experts that may be one: all where that is cheap, else every expert with the one it overlaps most.
/// `standard` is on the working scale, `responsibilities` n x (k or more). Nothing for fewer than two experts and with
/// labelled rows (which say that the experts differ).
std::vector<MergeLoss> merge_losses(const Data& data, const Scaling& scaling, const MixtureModel& standard,
                                    const Matrix& responsibilities, double sigma_floor);

}  // namespace clearway::detail
