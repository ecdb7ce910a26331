// Gates against values from scipy. The reference values come from this program (scipy 1.10):
//
//   import numpy as np; from scipy import stats, special
//   x = np.array([.5, 1.5]); W = np.array([[.7, -.2], [-1, .3], [0, 0]]); b = np.array([.1, .4, 0])
//   special.log_softmax((W @ x + b) / 2)                                            # softmax, temperature 2
//   special.log_softmax(special.log_expit(W @ x + b))                               # sigmoid
//   C = np.array([[0, 1], [2, -1], [.5, 1.4]])
//   special.log_softmax(b - np.linalg.norm(x - C, axis=1) / .5)                     # laplace, temperature 0.5
//   S = [np.array([[1, .3], [.3, .5]]), np.array([[2, -.4], [-.4, .6]]), np.eye(2) * .7]
//   special.log_softmax([np.log([.2, .5, .3][k]) + stats.multivariate_normal.logpdf(x, C[k], S[k]) for k in range(3)])
//   F = np.array([[.5, -.3, .2], [.1, .4, -.6], [0, 0, 0]])
//   special.log_softmax(W @ x + b + F @ [x[0]**2, x[0] * x[1], x[1]**2])            # quadratic
//   D = np.array([[.7, -.2], [-1, .3], [.4, .1]]); norm = lambda v, theta: np.linalg.norm(v, axis=-1) + theta
//   special.log_softmax(b + D @ x / (norm(D, 0) * norm(x, 0)) / .5)                 # cosine, temperature 0.5
//   special.log_softmax(b + D @ x / (norm(D, .1) * norm(x, .1)) / .3)               # perturbed by 0.1
//   special.log_softmax((np.tanh(D @ x) + b) / .5)                                  # activated by tanh
//   special.log_softmax((special.expit(D @ x) + b) / .5)                            # activated by the sigmoid

#include <Eigen/Cholesky>
#include <Eigen/LU>

#include "arrays.hpp"
#include "clearway/core/gates/all.hpp"

namespace clearway {
namespace {

using testing::array;
using testing::expect_near;
using testing::kTight;

const DoubleArray kX = array({{0.5, 1.5}});
const DoubleArray kSlopes = array({{0.7, -0.2}, {-1.0, 0.3}, {0, 0}});
const DoubleArray kIntercepts = array({{0.1, 0.4, 0}});
const DoubleArray kCentres = array({{0, 1}, {2, -1}, {0.5, 1.4}});

TEST(SoftmaxGate, ScipyValueWithTemperature) {
  expect_near(SoftmaxGate{.temperature = 2}.log_weights(kX, {kSlopes, kIntercepts}),
              array({{-1.1095240068786705, -1.0095240068786704, -1.1845240068786704}}), kTight);
}

TEST(SoftmaxGate, SlopeTranslationChangesNothing) {
  const DoubleArray x = array({{0.5, 1.5}, {-2, 3}, {0, 1}});
  const DoubleArray moved = kSlopes.rowwise() + array({{3, -4}}).row(0);
  expect_near(SoftmaxGate().log_weights(x, {moved, kIntercepts}), SoftmaxGate().log_weights(x, {kSlopes, kIntercepts}),
              10 * kTight);
}

TEST(ConstantGate, LogOfTheShares) {
  const DoubleArray shares = array({{0.2, 0.5, 0.3}});
  expect_near(ConstantGate().log_weights(array({{1}, {2}}), {shares.log()}), shares.log().replicate(2, 1), kTight);
}

TEST(SigmoidGate, ScipyValueAndIndependentWeights) {
  expect_near(SigmoidGate().log_weights(kX, {kSlopes, kIntercepts}),
              array({{-1.105878491233851, -1.018303598863096, -1.1780686240042644}}), kTight);
  const DoubleArray linear = array({{0.15, 0.35, 0}});
  expect_near(SigmoidGate().independent_weights(kX, {kSlopes, kIntercepts}), 1 / (1 + (-linear).exp()), kTight);
}

TEST(LaplaceGate, ScipyValueWithTemperature) {
  const LaplaceGate gate{.temperature = 0.5, .smoothing = 0};
  expect_near(gate.log_weights(kX, {kCentres, kIntercepts}),
              array({{-1.4020368975813096, -5.518775230053515, -0.28782333520821474}}), kTight);
}

TEST(LaplaceGate, SmoothingIsBelowItsSizeAndZeroAtTheCentre) {
  // 0 <= r - (sqrt(r^2 + eps^2) - eps) <= eps, with equality on the left at r = 0.
  const LaplaceParameters<DoubleArray> p{array({{0.5, 1.5}}), array({{0.3}})};
  const DoubleArray x = array({{0.5, 1.5}, {0.5, 2.5}});
  const DoubleArray sharp = LaplaceGate{.smoothing = 0}.scores(x, p),
                    smooth = LaplaceGate{.smoothing = 0.1}.scores(x, p);
  EXPECT_NEAR(smooth(0, 0), 0.3, kTight);
  EXPECT_GT(smooth(1, 0), sharp(1, 0));
  EXPECT_LE(smooth(1, 0), sharp(1, 0) + 0.1);
}

TEST(LaplaceGate, ScoreDifferencesAreBoundedWhateverTheInput) {
  // |t_k - t_l| <= |b_k - b_l| + |c_k - c_l| / temperature, by the triangle inequality.
  const LaplaceGate gate{.temperature = 0.5};
  for (const double size : {1.0, 1e3, 1e6}) {
    const DoubleArray scores = gate.scores(DoubleArray(size * array({{1, -2}, {3, 1}})), {kCentres, kIntercepts});
    const double bound = 0.3 + std::sqrt(8.0) / 0.5;
    EXPECT_LE((scores.col(0) - scores.col(1)).abs().maxCoeff(), bound + 1e-9 * size);
  }
}

/// The packed lower factor of a precision matrix, diagonal as logarithm.
DoubleArray packed_precision_factor(const Eigen::MatrixXd& covariance) {
  const Eigen::MatrixXd l = covariance.inverse().llt().matrixL();
  DoubleArray packed(1, l.rows() * (l.rows() + 1) / 2);
  Eigen::Index at = 0;
  for (Eigen::Index j = 0; j < l.cols(); ++j)
    for (Eigen::Index i = j; i < l.rows(); ++i) packed(0, at++) = i == j ? std::log(l(i, j)) : l(i, j);
  return packed;
}

TEST(GaussianGate, ScipyPosteriorOfAGaussianMixture) {
  DoubleArray factors(3, 3);
  factors.row(0) = packed_precision_factor(array({{1, 0.3}, {0.3, 0.5}}).matrix()).row(0);
  factors.row(1) = packed_precision_factor(array({{2, -0.4}, {-0.4, 0.6}}).matrix()).row(0);
  factors.row(2) = packed_precision_factor(array({{0.7, 0}, {0, 0.7}}).matrix()).row(0);
  expect_near(GaussianGate().log_weights(kX, {kCentres, factors, array({{0.2, 0.5, 0.3}}).log()}),
              array({{-1.0309283883849316, -5.522002982673026, -0.447340009220345}}), 10 * kTight);
}

TEST(QuadraticGate, ScipyValueOfTheFullForm) {
  const DoubleArray forms = array({{0.5, -0.3, 0.2}, {0.1, 0.4, -0.6}, {0, 0, 0}});
  expect_near(QuadraticGate().log_weights(kX, {kSlopes, forms, kIntercepts}),
              array({{-0.6499001852885234, -1.8249001852885232, -1.1499001852885233}}), kTight);
}

TEST(QuadraticGate, ProductsRunRowByRow) {
  expect_near(QuadraticGate().products(array({{2, 3, 5}})), array({{4, 6, 10, 9, 15, 25}}), 0);
  expect_near(QuadraticGate{.form = QuadraticForm::diagonal}.products(array({{2, 3, 5}})), array({{4, 9, 25}}), 0);
}

TEST(Gates, SettingsOutOfRangeAreRefused) {
  EXPECT_THROW(SoftmaxGate{.temperature = 0}.scores(kX, {kSlopes, kIntercepts}), std::invalid_argument);
  EXPECT_THROW(SigmoidGate{.temperature = -1}.scores(kX, {kSlopes, kIntercepts}), std::invalid_argument);
  EXPECT_THROW((LaplaceGate{.smoothing = -1}.scores(kX, {kCentres, kIntercepts})), std::invalid_argument);
  const QuadraticGate no_rank{.form = QuadraticForm::low_rank, .rank = 0};
  EXPECT_THROW(no_rank.scores(kX, {kSlopes, DoubleArray(3, 0), kIntercepts}), std::invalid_argument);
}

const DoubleArray kDirections = array({{0.7, -0.2}, {-1, 0.3}, {0.4, 0.1}});

TEST(CosineGate, NumpyValuePlainAndPerturbed) {
  expect_near(CosineGate{.temperature = 0.5, .perturbation = 0}.log_weights(kX, {kDirections, kIntercepts}),
              array({{-1.5243881805387807, -1.3718408823729327, -0.6375116447050759}}), kTight);
  expect_near(CosineGate{.temperature = 0.3, .perturbation = 0.1}.log_weights(kX, {kDirections, kIntercepts}),
              array({{-1.6503657312518916, -1.556755179634604, -0.5155010620435754}}), kTight);
}

TEST(CosineGate, LengthOfADirectionCountsOnlyWhenPerturbed) {
  const DoubleArray longer = 7 * kDirections;
  const CosineGate plain{.perturbation = 0}, perturbed{.perturbation = 0.1};
  expect_near(plain.scores(kX, {longer, kIntercepts}), plain.scores(kX, {kDirections, kIntercepts}), kTight);
  const DoubleArray change =
      perturbed.scores(kX, {longer, kIntercepts}) - perturbed.scores(kX, {kDirections, kIntercepts});
  EXPECT_GT(change.abs().maxCoeff(), 0.01);
}

TEST(ActivatedGate, NumpyValueWithTemperature) {
  expect_near(ActivatedGate{.temperature = 0.5}.log_weights(kX, {kDirections, kIntercepts}),
              array({{-1.3721743698461795, -0.9720078696776993, -0.9993400310892747}}), kTight);
  const ActivatedGate sigmoid{.activation = {.kind = ActivationKind::sigmoid}, .temperature = 0.5};
  expect_near(sigmoid.log_weights(kX, {kDirections, kIntercepts}),
              array({{-1.3036809754301588, -0.7536705613670004, -1.3554406105639192}}), kTight);
}

TEST(HierarchicalGate, NumpyValueOfThreeExpertsInTwoGroups) {
  // Groups {0, 2} and {1}: log_softmax([.3, -.5]) plus log_softmax([.2, -.7]) in the first group, 0 in the second.
  expect_near(hierarchical_log_weights(array({{0.3, -0.5}}), array({{0.2, 1.0, -0.7}}), {0, 1, 0}),
              array({{-0.7122545406798655, -1.1711006659477778, -1.6122545406798654}}), kTight);
}

TEST(HierarchicalGate, WrongGroupsAreNamed) {
  const DoubleArray outer = array({{0, 0}}), inner = array({{0, 0, 0}});
  EXPECT_THROW(hierarchical_log_weights(outer, inner, {0, 1}), std::invalid_argument);
  EXPECT_THROW(hierarchical_log_weights(outer, inner, {0, 1, 2}), std::invalid_argument);
  EXPECT_THROW(hierarchical_log_weights(outer, inner, {0, 0, 0}), std::invalid_argument);
}

TEST(TopK, SelectionBySlopesLeavesTheInterceptsOut) {
  // a'x = (.05, -.05, .35), b = (.1, .6, 0): by score expert 1 (from 0) is first, by slope it is last.
  const DoubleArray slopes = array({{0.05, -0.05, 0.35}}), scores = array({{0.15, 0.55, 0.35}});
  const DoubleArray by_score = top_k_log_weights(scores, 1), by_slope = top_k_log_weights(scores, slopes, 2);
  EXPECT_EQ(by_score(0, 1), 0.0);
  EXPECT_TRUE(std::isinf(by_slope(0, 1)));
  EXPECT_NEAR(by_slope(0, 2) - by_slope(0, 0), 0.2, kTight);
}

}  // namespace
}  // namespace clearway
