// Starting values for EM, all from the data (science: starts, not iterations, decide which optimum EM finds).
#pragma once

#include <string>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/stat/fit.hpp"
#include "em_engine.hpp"

namespace clearway::detail {

/// Makes starts for one data set on the working scale.
class StartMaker {
 public:
  StartMaker(const Data& standardised, const MixtureModel& prototype);

  /// A start of the given kind: the prototype with its parameters set by one M-step from initial memberships.
  /// Kinds: kmeans, planes, random. `engine` must work on the same rows.
  MixtureModel make(StartKind kind, EmEngine& engine, RandomStream& stream) const;
  /// Regressors from the spectral method, the gate at zero. Throws std::runtime_error with the reason where the method
  /// has no answer for this model.
  /// `thorough`: tests the inputs for normality and models them where they are not Gaussian, which costs more than all
  /// other starts together.
  MixtureModel make_spectral(EmEngine& engine, std::uint64_t seed, bool thorough,
                             std::vector<std::string>& diagnoses) const;
  /// A solution with expert `moved` taken to the rows that the solution explains worst, one M-step on.
  MixtureModel make_reseeded(const MixtureModel& solution, int moved, EmEngine& engine) const;
  /// Whether the spectral method applies at all to this kind of model (says why not).
  bool spectral_applies(std::string& reason) const;

 private:
  Matrix kmeans_memberships(RandomStream& stream) const;
  Matrix plane_memberships(RandomStream& stream, bool local) const;
  MixtureModel blank(RandomStream& stream) const;
  ExpertKind common_kind() const;
  double linked_mean(const ExpertSpec& spec) const;
  void start_gate(Gate& gate, RandomStream& stream) const;

  const Data& data_;
  const MixtureModel& prototype_;
  Matrix space_;     ///< n x (d + m): inputs and 1.5 times the (linearised) response
  Matrix response_;  ///< n x m: the response on the scale of the linear predictor, standardised
};

}  // namespace clearway::detail
