// The typed list of experts under test. A new expert is one line here.
#pragma once

#include <gtest/gtest.h>

#include <type_traits>

#include "clearway/core/experts/all.hpp"

namespace clearway::laws {

// Settings other than the defaults, and sizes that an expert needs beside inputs and experts.
template <ActivationKind kind>
struct GaussianCase : GaussianExpert {
  GaussianCase() { activation.kind = kind; }
};
struct CubicGaussianCase : GaussianExpert {
  CubicGaussianCase() { activation = {.kind = ActivationKind::polynomial, .degree = 3}; }
};
struct TenTrials : BinomialExpert {
  template <Array A>
  A mean(const A& x, const BinomialParameters<A>& p) const {
    return BinomialExpert::mean(x, p, filled(x, rows(x), 1, 10.0));
  }
  template <Array A>
  A log_density(const A& y, const A& x, const BinomialParameters<A>& p) const {
    return BinomialExpert::log_density(y, x, p, filled(x, rows(x), 1, 10.0));
  }
};
struct ThreeClasses : MultinomialExpert {
  ThreeClasses() { classes = 3; }
};
/// As many attributes as the inputs allow; what is left belongs to no alternative.
struct TwoAlternatives : ConditionalLogitExpert {
  template <Array A>
  auto zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return ConditionalLogitExpert::zero_parameters(like, d, k, d / 2);
  }
};
struct ThreeAlternatives : ConditionalLogitExpert {
  ThreeAlternatives() { classes = 3; }
  template <Array A>
  auto zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t k) const {
    return ConditionalLogitExpert::zero_parameters(like, d, k, d / 3);
  }
};
struct ThreeHiddenUnits : FeedForwardExpert {
  template <Array A>
  auto zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t) const {
    return FeedForwardExpert::zero_parameters(like, d, 3);
  }
};
struct TwoResponses : GaussianVectorExpert {
  template <Array A>
  auto zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t) const {
    return GaussianVectorExpert::zero_parameters(like, d, 2);
  }
};
struct TwoIndependentResponses : GaussianVectorExpert {
  template <Array A>
  auto zero_parameters(const A& like, std::ptrdiff_t d, std::ptrdiff_t) const {
    return GaussianVectorExpert::zero_parameters(like, d, 2, true);
  }
};
struct UnitBox : UniformExpert {
  template <Array A>
  UniformParameters<A> zero_parameters(const A& like, std::ptrdiff_t, std::ptrdiff_t) const {
    return {filled(like, 1, 1, 0.0), filled(like, 1, 1, 1.0)};
  }
};

struct ThreeOrderedClasses : OrdinalExpert {
  ThreeOrderedClasses() { classes = 3; }
};
/// A beta density is integrable but unbounded at 0 and 1 when a shape is below 1, and numbers near 1 are too coarse to
/// integrate it there. With these parameters both shapes stay above 1.
struct ModerateBeta : BetaExpert {
  template <Array A>
  static BetaParameters<A> moderate(const BetaParameters<A>& p) {
    return {p.slopes * 0.1, p.intercepts * 0.1, p.log_precisions * 0.3 + 3.0};
  }
  template <Array A>
  A mean(const A& x, const BetaParameters<A>& p) const {
    return BetaExpert::mean(x, moderate(p));
  }
  template <Array A>
  A log_density(const A& y, const A& x, const BetaParameters<A>& p) const {
    return BetaExpert::log_density(y, x, moderate(p));
  }
};

/// A skew-t distribution has a mean from nu = 1 on, and tails that the rule of integration.hpp reaches from about 2 on:
/// nu = 5 and around.
struct ModerateSkewT : SkewTExpert {
  template <Array A>
  static SkewTParameters<A> moderate(const SkewTParameters<A>& p) {
    return {p.slopes, p.intercepts, p.log_scales, p.slants, p.log_nus * 0.3 + 1.6};
  }
  template <Array A>
  A mean(const A& x, const SkewTParameters<A>& p) const {
    return SkewTExpert::mean(x, moderate(p));
  }
  template <Array A>
  A log_density(const A& y, const A& x, const SkewTParameters<A>& p) const {
    return SkewTExpert::log_density(y, x, moderate(p));
  }
};

using Experts =
    ::testing::Types<GaussianExpert, GaussianCase<ActivationKind::sigmoid>, GaussianCase<ActivationKind::tanh>,
                     GaussianCase<ActivationKind::relu>, GaussianCase<ActivationKind::leaky_relu>, CubicGaussianCase,
                     StudentTExpert, BinomialExpert, TenTrials, PoissonExpert, GammaExpert, ThreeClasses,
                     ThreeHiddenUnits, TwoResponses, TwoIndependentResponses, UnitBox, LaplaceExpert, SkewNormalExpert,
                     HeteroscedasticExpert, TobitExpert, NegativeBinomialExpert, ZeroInflatedPoissonExpert,
                     InverseGaussianExpert, WeibullExpert, ExponentialExpert, ModerateBeta, ThreeOrderedClasses,
                     ModerateSkewT, TwoAlternatives, ThreeAlternatives>;

/// True for experts whose parameter struct holds k experts side by side.
template <class Expert>
inline constexpr bool kStacked =
    !std::is_base_of_v<FeedForwardExpert, Expert> && !std::is_base_of_v<GaussianVectorExpert, Expert> &&
    !std::is_base_of_v<UniformExpert, Expert>;

}  // namespace clearway::laws
