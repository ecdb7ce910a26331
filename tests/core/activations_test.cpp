// Mean functions: closed values, and derivatives against automatic differentiation.

#include "clearway/core/activations.hpp"

#include "arrays.hpp"
#include "clearway/core/jet.hpp"

namespace clearway {
namespace {

using testing::array;
using testing::kTight;

const std::vector<Activation> kAll{{.kind = ActivationKind::identity},
                                   {.kind = ActivationKind::sigmoid},
                                   {.kind = ActivationKind::tanh},
                                   {.kind = ActivationKind::relu},
                                   {.kind = ActivationKind::leaky_relu, .leak = 0.2},
                                   {.kind = ActivationKind::polynomial, .degree = 1},
                                   {.kind = ActivationKind::polynomial, .degree = 2},
                                   {.kind = ActivationKind::polynomial, .degree = 5},
                                   {.kind = ActivationKind::gelu}};

TEST(Activation, ClosedValues) {
  const double s = 1 / (1 + std::exp(-0.5));
  // GELU: 0.5 Phi(0.5) and -2 Phi(-2), from scipy.stats.norm.cdf.
  const std::vector<double> at_half{0.5, s, std::tanh(0.5), 0.5, 0.5, 0.5, 0.25, 0.03125, 0.34573123063700656};
  const std::vector<double> at_minus_two{-2,  1 / (1 + std::exp(2.0)), std::tanh(-2.0), 0, -0.4, -2, 4,
                                         -32, -0.045500263896358417};
  for (std::size_t i = 0; i < kAll.size(); ++i) {
    EXPECT_NEAR(kAll[i].value(0.5), at_half[i], kTight);
    EXPECT_NEAR(kAll[i].value(-2.0), at_minus_two[i], kTight);
  }
}

TEST(Activation, DerivativesAreThoseOfAutomaticDifferentiation) {
  for (const Activation& g : kAll)
    for (const double z : {-3.0, -0.7, -1e-3, 0.2, 1.0, 4.0}) {
      using Jet = ceres::Jet<double, 1>;
      const JetArray<1> lifted = JetArray<1>::Constant(1, 1, Jet(z, 0));
      const Jet value = g.value(lifted)(0, 0), slope = g.derivative(lifted)(0, 0);
      const double scale = 1 + std::abs(value.a) + std::abs(value.v[0]) + std::abs(slope.v[0]);
      EXPECT_NEAR(g.value(z), value.a, kTight * scale);
      EXPECT_NEAR(g.derivative(z), value.v[0], kTight * scale) << static_cast<int>(g.kind) << " at " << z;
      EXPECT_NEAR(g.second_derivative(z), slope.v[0], kTight * scale) << static_cast<int>(g.kind) << " at " << z;
    }
}

TEST(Activation, KinksTakeTheSlopeOnTheLeft) {
  EXPECT_EQ(Activation{.kind = ActivationKind::relu}.derivative(0.0), 0.0);
  EXPECT_EQ((Activation{.kind = ActivationKind::leaky_relu, .leak = 0.2}.derivative(0.0)), 0.2);
}

TEST(Activation, SaturatesWithoutNaN) {
  for (const double z : {-1e4, 1e4})
    for (const ActivationKind kind : {ActivationKind::sigmoid, ActivationKind::tanh}) {
      const Activation g{.kind = kind};
      EXPECT_EQ(g.derivative(z), 0.0);
      EXPECT_EQ(g.second_derivative(z), 0.0);
    }
}

}  // namespace
}  // namespace clearway
