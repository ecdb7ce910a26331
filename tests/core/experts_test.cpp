// Experts against values from scipy. The reference values come from this program (scipy 1.10):
//
//   import numpy as np; from scipy import stats, special
//   eta = .7 * .5 - .2 * 1.5 + .1                                                # 0.15 at x = (0.5, 1.5)
//   stats.norm.logpdf(1.3, np.tanh(eta), np.exp(-.4)); stats.t.logpdf(4, df=3.5, loc=eta, scale=.8)
//   stats.binom.logpmf(3, 10, special.expit(eta)); stats.bernoulli.logpmf(1, special.expit(eta))
//   stats.poisson.logpmf(7, np.exp(eta + 1.2)); stats.gamma.logpdf(1.7, 2.5, scale=np.exp(eta) / 2.5)
//   special.log_softmax([.4, -1.1, 0])
//   L = np.array([[1.2, 0, 0], [.3, .9, 0], [-.5, .2, .7]])
//   stats.multivariate_normal.logpdf([1, 2, 3], [.5, 1.5, 2], L @ L.T)
//   stats.multivariate_normal.logpdf([1, 2, 3], [.5, 1.5, 2], np.diag([1.44, .81, .49]))

#include "arrays.hpp"
#include "clearway/core/experts/all.hpp"

namespace clearway {
namespace {

using testing::array;
using testing::expect_near;
using testing::kInfinity;
using testing::kTight;

const DoubleArray kX = array({{0.5, 1.5}});
const DoubleArray kSlopes = array({{0.7, -0.2}});
const DoubleArray kIntercept = array({{0.1}});

TEST(GaussianExpert, ScipyValueWithTanhMean) {
  const GaussianExpert expert{{.kind = ActivationKind::tanh}};
  const GaussianParameters<DoubleArray> p{kSlopes, kIntercept, array({{-0.4}})};
  expect_near(expert.log_density(array({{1.3}}), kX, p), array({{-1.9934324693119223}}), kTight);
  expect_near(expert.mean(kX, p), array({{std::tanh(0.15)}}), kTight);
}

TEST(GaussianExpert, OffsetAddsInsideTheMeanFunction) {
  const GaussianExpert expert{{.kind = ActivationKind::polynomial, .degree = 2}};
  const GaussianParameters<DoubleArray> p{kSlopes, kIntercept, array({{0}})};
  expect_near(expert.mean(kX, p, array({{2}})), array({{2.15 * 2.15}}), kTight);
}

TEST(GaussianExpert, WithoutInputsIsTheConstantExpert) {
  const GaussianParameters<DoubleArray> p{DoubleArray(2, 0), array({{1, -3}}), array({{0, 0}})};
  expect_near(GaussianExpert().mean(DoubleArray(3, 0), p), array({{1, -3}, {1, -3}, {1, -3}}), 0);
}

TEST(StudentTExpert, ScipyValue) {
  const StudentTParameters<DoubleArray> p{kSlopes, kIntercept, array({{std::log(0.8)}}), array({{std::log(3.5)}})};
  expect_near(StudentTExpert().log_density(array({{4}}), kX, p), array({{-5.33474625587131}}), 2 * kTight);
}

TEST(StudentTExpert, TendsToTheGaussian) {
  // The difference of the log-densities is about (z^4 - 2 z^2 - 1) / (4 nu): at nu = 1e6 and |z| <= 3 below 2e-5.
  const DoubleArray y = array({{-3}, {0}, {1.2}, {3}}), x = DoubleArray(4, 0), zero = array({{0}});
  const DoubleArray t = StudentTExpert().log_density(y, x, {DoubleArray(1, 0), zero, zero, array({{std::log(1e6)}})});
  const DoubleArray gaussian = GaussianExpert().log_density(y, x, {DoubleArray(1, 0), zero, zero});
  const DoubleArray expected = (y.square().square() - 2 * y.square() - 1) / 4e6;
  // Next order 1/nu^2 is negligible; the log Gammas lose about 1e-16 nu log nu = 1.4e-9.
  EXPECT_LE((t - gaussian - expected).abs().maxCoeff(), 5e-9);
}

TEST(BinomialExpert, ScipyValuesForTenTrialsAndForOne) {
  const BinomialParameters<DoubleArray> p{kSlopes, kIntercept};
  expect_near(BinomialExpert().log_density(array({{3}}), kX, p, array({{10}})), array({{-2.4720787351132745}}), kTight);
  expect_near(BinomialExpert().log_density(array({{1}}), kX, p), array({{-0.620957047789532}}), kTight);
  expect_near(BinomialExpert().mean(kX, p, array({{10}})), array({{10 / (1 + std::exp(-0.15))}}), kTight);
}

TEST(BinomialExpert, CertainOutcomesHaveLogDensityZero) {
  const BinomialParameters<DoubleArray> p{array({{1}}), array({{0}})};
  expect_near(BinomialExpert().log_density(array({{1}, {0}}), array({{1e4}, {-1e4}}), p), array({{0}, {0}}), kTight);
}

TEST(PoissonExpert, ScipyValueWithOffset) {
  const PoissonParameters<DoubleArray> p{kSlopes, kIntercept};
  expect_near(PoissonExpert().log_density(array({{7}}), kX, p, array({{1.2}})), array({{-2.9325868917623894}}),
              2 * kTight);
  expect_near(PoissonExpert().mean(kX, p, array({{1.2}})), array({{std::exp(1.35)}}), kTight);
}

TEST(GammaExpert, ScipyValue) {
  const GammaParameters<DoubleArray> p{kSlopes, kIntercept, array({{std::log(2.5)}})};
  expect_near(GammaExpert().log_density(array({{1.7}}), kX, p), array({{-1.2310225640007717}}), kTight);
  expect_near(GammaExpert().mean(kX, p, array({{1.0}})), array({{std::exp(1.15)}}), kTight);
}

TEST(MultinomialExpert, ScipyLogSoftmaxWithTheLastClassAsReference) {
  const MultinomialExpert expert{.classes = 3};
  const MultinomialParameters<DoubleArray> p{DoubleArray(2, 0), array({{0.4, -1.1}})};
  const DoubleArray x(3, 0), y = array({{0}, {1}, {2}});
  const DoubleArray expected = array({{-0.6384006707781638}, {-2.1384006707781635}, {-1.038400670778164}});
  expect_near(expert.log_density(y, x, p), expected, kTight);
  expect_near(expert.mean(x, p), expected.exp().transpose().replicate(3, 1), kTight);
  EXPECT_THROW(MultinomialExpert{.classes = 1}.mean(x, p), std::invalid_argument);
}

TEST(FeedForwardExpert, OneUnitIsAScaledActivation) {
  const FeedForwardParameters<DoubleArray> p{kSlopes, kIntercept, array({{2}}), array({{-1}}), array({{0.3}})};
  expect_near(FeedForwardExpert().mean(kX, p), array({{2 * std::tanh(0.15) - 1}}), kTight);
  const double z = (0.5 - (2 * std::tanh(0.15) - 1)) / std::exp(0.3);
  expect_near(FeedForwardExpert().log_density(array({{0.5}}), kX, p),
              array({{-0.5 * std::log(2 * M_PI) - 0.3 - 0.5 * z * z}}), kTight);
}

TEST(GaussianVectorExpert, ScipyValuesForFullAndDiagonalCovariance) {
  const DoubleArray y = array({{1, 2, 3}}), x(1, 0), slopes(3, 0), means = array({{0.5, 1.5, 2}});
  const double a = std::log(1.2), b = std::log(0.9), c = std::log(0.7);
  expect_near(GaussianVectorExpert().log_density(y, x, {slopes, means, array({{a, 0.3, -0.5, b, 0.2, c}})}),
              array({{-3.942166889555178}}), kTight);
  expect_near(GaussianVectorExpert().log_density(y, x, {slopes, means, array({{a, b, c}})}),
              array({{-3.7386364032865966}}), kTight);
}

TEST(UniformExpert, InverseVolumeInsideTheClosedBoxAndNothingOutside) {
  const UniformParameters<DoubleArray> p{array({{0, -1}}), array({{4, 1}})};
  const DoubleArray y = array({{0, -1}, {4, 1}, {2, 0}, {4.001, 0}, {2, -1.001}}), x(5, 0);
  const double inside = -std::log(8.0);
  expect_near(UniformExpert().log_density(y, x, p), array({{inside}, {inside}, {inside}, {-kInfinity}, {-kInfinity}}),
              kTight);
  expect_near(UniformExpert().mean(DoubleArray(1, 0), p), array({{2, 0}}), 0);
}

}  // namespace
}  // namespace clearway
