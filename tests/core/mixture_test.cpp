// The mixture against values worked out by hand.

#include "clearway/core/mixture.hpp"

#include "arrays.hpp"

namespace clearway {
namespace {

using testing::array;
using testing::expect_near;
using testing::kInfinity;
using testing::kTight;

const DoubleArray kWeights = array({{0.25, 0.75}, {0.5, 0.5}});
const DoubleArray kDensities = array({{2, 0.4}, {0.1, 0.3}});  // p = 0.5 + 0.3, 0.05 + 0.15

TEST(Mixture, DensityAndResponsibilities) {
  expect_near(log_mixture_density<DoubleArray>(kWeights.log(), kDensities.log()), array({{0.8}, {0.2}}).log(), kTight);
  expect_near(responsibilities<DoubleArray>(kWeights.log(), kDensities.log()), array({{0.625, 0.375}, {0.25, 0.75}}),
              kTight);
}

TEST(Mixture, MeanIsTheWeightedMean) {
  expect_near(mixture_mean<DoubleArray>(kWeights.log(), array({{4, 8}, {1, 3}})), array({{7}, {2}}), kTight);
}

TEST(Mixture, LogLikelihoodSumsWeightedRows) {
  const DoubleArray log_weights = kWeights.log(), log_densities = kDensities.log();
  EXPECT_NEAR(mixture_log_likelihood(log_weights, log_densities)(0, 0), std::log(0.16), kTight);
  EXPECT_NEAR(mixture_log_likelihood(log_weights, log_densities, array({{3}, {0.5}}))(0, 0),
              3 * std::log(0.8) + 0.5 * std::log(0.2), kTight);
}

TEST(Mixture, RowsThatNoExpertExplainsGiveNoNaN) {
  const DoubleArray log_weights = kWeights.log();
  const DoubleArray log_densities = array({{-kInfinity, -kInfinity}, {-kInfinity, 0}});
  expect_near(responsibilities(log_weights, log_densities), array({{0, 0}, {0, 1}}), kTight);
  EXPECT_EQ(mixture_log_likelihood(log_weights, log_densities)(0, 0), -kInfinity);
  EXPECT_NEAR(mixture_log_likelihood(log_weights, log_densities, array({{0}, {1}}))(0, 0), std::log(0.5), kTight);
}

TEST(Mixture, ShapesMustAgree) {
  EXPECT_THROW(log_mixture_density(kWeights, array({{1, 2, 3}, {1, 2, 3}})), std::invalid_argument);
  EXPECT_THROW(mixture_mean(kWeights, array({{1, 2}})), std::invalid_argument);
  EXPECT_THROW(mixture_log_likelihood(kWeights, kDensities, array({{1}})), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
